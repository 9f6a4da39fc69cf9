"""REST: rate, errors and duration, limits, and the hashing of passwords."""

import form
from form import bad_above, bad_from, lines, quantile, quantiles, rate, stat

BROKEN = 'status="5xx"'


def works():
    whole = rate("chat_http_requests_total")
    return [
        stat("Requests", "A second.", "reqps", whole),
        stat("Answered 5xx", "Of all.", "percentunit", f"{rate('chat_http_requests_total', '', BROKEN)} / {whole}",
             steps=bad_above(0.001, 0.0144)),
        stat("p99", "All routes.", "s", quantile(0.99, "chat_http_seconds"), steps=bad_above(0.5, 2)),
        stat("In flight", "Being answered.", "short", "sum(chat_http_in_flight{$S})"),
        stat("Passwords that wait", "To be hashed or checked.", "short", "sum(chat_hashing_waiting{$S})", steps=bad_above(8, 32)),
        stat("Sign-ins refused for want of room, 15 min", "They were answered unavailable.", "short",
             "sum(increase(chat_hashing_refused_total{$S}[15m]))", steps=bad_from(1)),
    ]


def routes():
    return [
        lines("Requests by status", "All routes.", "reqps", (rate("chat_http_requests_total", "status"), "{{status}}"), stacked=True),
        lines("5xx by route", "Routes that nobody asked are not there.", "reqps",
              (rate("chat_http_requests_total", "route", BROKEN) + " > 0 or vector(0)", "{{route}}")),
        lines("4xx by route", "A client's new version that asks wrongly shows here.", "reqps",
              ("topk(10, " + rate("chat_http_requests_total", "route", 'status="4xx"') + ")", "{{route}}")),
        lines("Requests by route", "The ten most asked.", "reqps",
              ("topk(10, " + rate("chat_http_requests_total", "method, route") + ")", "{{method}} {{route}}")),
        lines("p99 by route", "The ten slowest.", "s",
              ("topk(10, " + quantile(0.99, "chat_http_seconds", "method, route") + ")", "{{method}} {{route}}")),
        lines("Duration", "All routes.", "s", *quantiles("chat_http_seconds")),
    ]


def passwords():
    return [
        lines("Waiting for hashing", "From asking for it to its beginning.", "s", *quantiles("chat_hashing_wait_seconds"),
              steps=bad_above(1, 3)),
        lines("Hashing", "One password. Grows with a starved CPU.", "s", *quantiles("chat_hashing_seconds")),
        lines("Queue", "Passwords that wait, and those refused for want of room.", "short",
              ("sum by (node) (chat_hashing_waiting{$S})", "{{node}} wait"),
              (rate("chat_hashing_refused_total", "node"), "{{node}} refused a second")),
    ]


def limits():
    return [
        lines("Refused by a limit", "By class. Settings are called RATE_ and the class.", "ops",
              (rate("chat_rate_limited_total", "class"), "{{class}}")),
        lines("Charges counted in Redis", "Many share a call.", "ops", (rate("chat_limit_charges_total"), "charges")),
        lines("Counted alone", "Redis did not count; each node grants its share.", "ops",
              (rate("chat_limits_alone_total", "node"), "{{node}}")),
        lines("Nodes that share the limits", "As each node knows. Differing for long: leases.", "short",
              ("chat_limit_nodes{$S}", "{{node}}")),
        lines("In flight", "By node.", "short", ("chat_http_in_flight{$S}", "{{node}}")),
    ]


def board():
    rows = [
        ("Does it work?", works()),
        ("Which route?", routes()),
        ("Do sign-ins wait for each other?", passwords()),
        ("Who asks too much?", limits()),
    ]
    return form.board("chat-http", "Chat / HTTP API", "REST, limits, hashing.", rows)
