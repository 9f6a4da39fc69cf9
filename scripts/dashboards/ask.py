#!/usr/bin/env python3
"""Asks a Prometheus every expression of every dashboard, and whether its rules can be evaluated.

    ask.py URL

Prints what has no data. Fails where an expression is refused, a rule is not well, or a panel is empty
that is not in EMPTY_IN_HEALTH.
"""

import json
import pathlib
import re
import sys
import urllib.error
import urllib.parse
import urllib.request

BOARDS = pathlib.Path(__file__).resolve().parents[2] / "grafana" / "dashboards"
# Panels that show nothing of a young cluster where all is well, and why.
EMPTY_IN_HEALTH = {
    ("capacity", "offset 1d"): "there was no yesterday",
    ("sockets", "chat_connections_closed_total"): "no socket was closed lately",
}
VARIABLES = {"$__rate_interval": "30s", "$__range": "5m"}


def get(base, path, **query):
    url = f"{base}/api/v1/{path}?{urllib.parse.urlencode(query)}"
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        return json.load(error)


def expressions():
    for file in sorted(BOARDS.glob("*.json")):
        waiting = list(json.loads(file.read_text())["panels"])
        while waiting:
            panel = waiting.pop(0)
            waiting.extend(panel.get("panels", []))
            for target in panel.get("targets", []):
                expr = target["expr"]
                for name, value in VARIABLES.items():
                    expr = expr.replace(name, value)
                # What is left are the board's variables, which choose everything.
                yield file.stem, panel["title"], re.sub(r"\$\{?[a-z_]+\}?", ".*", expr)


def check_panels(base):
    asked, wrong = 0, 0
    for board, title, expr in expressions():
        asked += 1
        answer = get(base, "query", query=expr)
        if answer["status"] != "success":
            print(f"REFUSED {board}: {title}: {answer.get('error')}")
            wrong += 1
        elif not answer["data"]["result"]:
            known = [why for (name, part), why in EMPTY_IN_HEALTH.items() if name == board and part in expr]
            print(f"{'empty' if known else 'EMPTY'} {board}: {title}: {known[0] if known else expr}")
            wrong += not known
    print(f"{asked} expressions of panels asked, {wrong} wrong")
    return asked > 0 and wrong == 0


def check_rules(base):
    rules = [rule for group in get(base, "rules")["data"]["groups"] for rule in group["rules"]]
    wrong = [rule for rule in rules if rule["health"] != "ok"]
    for rule in wrong:
        print(f"NOT WELL {rule['name']}: {rule['health']} {rule.get('lastError', '')}")
    for rule in rules:
        if rule.get("state") in ("pending", "firing"):
            print(f"{rule['state']}: {rule['name']}")
    print(f"{len(rules)} rules evaluated, {len(wrong)} not well")
    return bool(rules) and not wrong


def main():
    base = sys.argv[1].rstrip("/")
    ok = [check_panels(base), check_rules(base)]
    sys.exit(0 if all(ok) else 1)


if __name__ == "__main__":
    main()
