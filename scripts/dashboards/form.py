"""What a dashboard is made of, and how it becomes the JSON that Grafana reads.

In expressions `$S` stands for the labels that the board's variables choose.
"""

SCHEMA_VERSION = 39
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
WIDTH = 24
RATE = "$__rate_interval"
NAMESPACE = 'namespace=~"$namespace"'
NODE = NAMESPACE + ',node=~"$node"'

GREEN, YELLOW, RED = "green", "yellow", "red"


def bad_above(yellow, red):
    """Steps of a number that should be small."""
    return [(None, GREEN), (yellow, YELLOW), (red, RED)]


def bad_from(red):
    return [(None, GREEN), (red, RED)]


def good_from(green):
    """Steps of a number that should be large."""
    return [(None, RED), (green, GREEN)]


def good_above(yellow, green):
    return [(None, RED), (yellow, YELLOW), (green, GREEN)]


def rate(metric, by="", labels=""):
    """The rate of a counter, summed by labels."""
    selector = "$S" + ("," + labels if labels else "")
    grouping = f" by ({by})" if by else ""
    return f"sum{grouping} (rate({metric}{{{selector}}}[{RATE}]))"


def quantile(q, metric, by="", labels=""):
    """A quantile of a histogram, over all that `by` does not tell apart."""
    grouping = "le" + (", " + by if by else "")
    return f"histogram_quantile({q}, {rate(metric + '_bucket', grouping, labels)})"


def quantiles(metric, labels=""):
    """The usual three, with their legends."""
    return [(quantile(q, metric, "", labels), name) for q, name in ((0.5, "p50"), (0.95, "p95"), (0.99, "p99"))]


def _targets(queries, form):
    targets = []
    for index, query in enumerate(queries):
        expr, legend = query if isinstance(query, tuple) else (query, "")
        targets.append({
            "datasource": DATASOURCE,
            "editorMode": "code",
            "expr": expr,
            "format": form,
            "instant": form == "table",
            "legendFormat": legend,
            "range": form != "table",
            "refId": chr(ord("A") + index),
        })
    return targets


def _panel(kind, title, description, unit, queries, width, height, steps, options, custom, form="time_series"):
    thresholds = [{"color": color, "value": value} for value, color in steps or [(None, GREEN)]]
    defaults = {"thresholds": {"mode": "absolute", "steps": thresholds}, "unit": unit}
    if custom is not None:
        defaults["custom"] = custom
    return {
        "datasource": DATASOURCE,
        "description": description,
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "gridPos": {"h": height, "w": width},
        "options": options,
        "targets": _targets(queries, form),
        "title": title,
        "type": kind,
    }


def stat(title, description, unit, *queries, width=4, steps=None):
    """The number now; its color says whether it is well."""
    options = {
        "colorMode": "background" if steps else "value",
        "graphMode": "area",
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "textMode": "auto",
    }
    return _panel("stat", title, description, unit, queries, width, 4, steps, options, None)


def lines(title, description, unit, *queries, width=8, height=8, steps=None, stacked=False):
    """How it went; what is stacked adds up to a whole."""
    custom = {
        "fillOpacity": 20 if stacked else 5,
        "lineWidth": 1,
        "showPoints": "never",
        "stacking": {"group": "A", "mode": "normal" if stacked else "none"},
        "thresholdsStyle": {"mode": "line" if steps else "off"},
    }
    options = {
        "legend": {"calcs": ["lastNotNull", "max"], "displayMode": "table", "placement": "bottom"},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }
    return _panel("timeseries", title, description, unit, queries, width, height, steps, options, custom)


def heat(title, description, metric, width=8, height=8):
    """How often which duration."""
    options = {
        "calculate": False,
        "color": {"mode": "scheme", "scheme": "Oranges", "steps": 64},
        "cellGap": 1,
        "tooltip": {"mode": "single", "yHistogram": False},
        "yAxis": {"unit": "s"},
    }
    queries = [(rate(metric + "_bucket", "le"), "{{le}}")]
    return _panel("heatmap", title, description, "s", queries, width, height, None, options, None, "heatmap")


def table(title, description, unit, query, width=8, height=8):
    """What is now, a row for each series."""
    options = {"cellHeight": "sm", "showHeader": True}
    panel = _panel("table", title, description, unit, [query], width, height, None, options, {}, "table")
    hidden = {"Time": True, "__name__": True, "instance": True, "job": True}
    panel["transformations"] = [{"id": "organize", "options": {"excludeByName": hidden}}]
    return panel


def _variable(name, label, metric, multi):
    query = f"label_values({metric}, {name})"
    return {
        "allValue": ".*",
        "current": {"selected": True, "text": "All", "value": "$__all"},
        "datasource": DATASOURCE,
        "definition": query,
        "includeAll": True,
        "label": label,
        "multi": multi,
        "name": name,
        "query": {"query": query, "refId": name},
        "refresh": 2,
        "sort": 3,
        "type": "query",
    }


def _variables(names):
    datasource = {"label": "Prometheus", "name": "datasource", "query": "prometheus", "refresh": 1, "type": "datasource"}
    known = {
        "namespace": ("Namespace", "chat_build_info", False),
        "node": ("Node", f"chat_build_info{{{NAMESPACE}}}", True),
        "partition": ("Partition", f"chat_partition_owned{{{NAMESPACE}}}", True),
    }
    return [datasource] + [_variable(name, *known[name]) for name in names]


def _placed(rows):
    """Rows one below the other, their panels from left to right."""
    panels, top = [], 0
    for title, members in rows:
        panels.append({
            "collapsed": False,
            "gridPos": {"h": 1, "w": WIDTH, "x": 0, "y": top},
            "panels": [],
            "title": title,
            "type": "row",
        })
        top, left, height = top + 1, 0, 0
        for panel in members:
            place = panel["gridPos"]
            if left + place["w"] > WIDTH:
                top, left, height = top + height, 0, 0
            place.update(x=left, y=top)
            left, height = left + place["w"], max(height, place["h"])
            panels.append(panel)
        top += height
    for number, panel in enumerate(panels, 1):
        panel["id"] = number
    return panels


def board(uid, title, description, rows, variables=("namespace", "node")):
    """A dashboard; `rows` are pairs of a title and panels."""
    selector = NODE if "node" in variables else NAMESPACE
    panels = _placed(rows)
    for panel in panels:
        for target in panel.get("targets", []):
            target["expr"] = target["expr"].replace("$S", selector)
    links = {
        "asDropdown": False,
        "icon": "external link",
        "includeVars": True,
        "keepTime": True,
        "tags": ["chat-service"],
        "title": "Chat",
        "type": "dashboards",
    }
    takeovers = {
        "datasource": DATASOURCE,
        "enable": True,
        "expr": f"sum by (node) (increase(chat_takeovers_total{{{NAMESPACE}}}[1m])) > 0",
        "iconColor": "orange",
        "name": "Partitions taken over",
        "step": "60s",
        "titleFormat": "{{node}} took partitions over",
    }
    return {
        "annotations": {"list": [takeovers]},
        "description": description,
        "editable": True,
        "graphTooltip": 1,
        "links": [links],
        "panels": panels,
        "refresh": "30s",
        "schemaVersion": SCHEMA_VERSION,
        "tags": ["chat-service"],
        "templating": {"list": _variables(variables)},
        "time": {"from": "now-3h", "to": "now"},
        "timezone": "",
        "title": title,
        "uid": uid,
        "version": 1,
    }
