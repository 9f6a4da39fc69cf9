"""Sockets: who comes and goes, what they ask, and whether pushes reach them."""

import form
from form import RATE, bad_above, heat, lines, quantile, quantiles, rate, stat


def there():
    return [
        stat("Sockets", "Authenticated and open.", "short", "sum(chat_connections{$S})"),
        stat("Users online", "Once for each node that they are at.", "short", "sum(chat_presence_online{$S})"),
        stat("Opened", "A second.", "ops", rate("chat_connections_opened_total")),
        stat("Sends", "A second.", "reqps", rate("chat_socket_requests_total", "", 'event="sendMessage"')),
        stat("Audience of an event", "Deliveries by event, over all nodes.", "short",
             f"{rate('chat_deliveries_total')} / max(sum by (node) (rate(chat_events_total{{$S}}[{RATE}])))"),
        stat("Slow readers, 15 min", "Sockets closed because they read too slowly.", "short",
             "sum(increase(chat_slow_readers_total{$S}[15m]))", steps=bad_above(10, 100)),
    ]


def come():
    return [
        lines("Closed, by whom and with which code", "1006: without a word. 4408: read too slowly. 1012: its node ends.", "ops",
              (rate("chat_connections_closed_total", "initiator, code") + " > 0", "{{initiator}} {{code}}"), width=12),
        lines("Opened", "By node.", "ops", (rate("chat_connections_opened_total", "node"), "{{node}}"), width=6),
        lines("Sockets by node", "Uneven for long: the balancer.", "short", ("chat_connections{$S}", "{{node}}"), width=6),
        lines("Refused before they were open", "By the error's code.", "ops",
              (rate("chat_upgrades_refused_total", "code"), "{{code}}"), width=12),
        lines("Ended before they were authenticated", "Scanners, or clients that give up because attaching is slow.", "ops",
              (rate("chat_sockets_unauthenticated_total", "node"), "{{node}}"), width=12),
    ]


def asked():
    return [
        lines("Requests by event", "Of all sockets.", "reqps", (rate("chat_socket_requests_total", "event"), "{{event}}")),
        lines("Requests that failed, by code", "All codes but ok.", "reqps",
              (rate("chat_socket_requests_total", "code", 'code!="ok"'), "{{code}}")),
        lines("p99 by event", "From the request read to its answer in the outbox. Empty for events that nobody asks.", "s",
              (quantile(0.99, "chat_socket_request_seconds", "event"), "{{event}}")),
        lines("What syncing costs", "Chats asked for, and rows that answers brought.", "ops",
              (rate("chat_sync_chats_total"), "chats"), (rate("chat_sync_rows_total"), "rows")),
        lines("Told to sync", "Sockets that had missed too much to be caught up.", "ops", (rate("chat_resyncs_total", "node"), "{{node}}")),
        lines("Refused by a limit", "By the class of the limit.", "ops", (rate("chat_rate_limited_total", "class"), "{{class}}")),
    ]


def reached():
    return [
        heat("Delivery", "From the first frame that waits in an empty outbox to its having been written.", "chat_delivery_seconds"),
        lines("Delivery", "The same, as quantiles.", "s", *quantiles("chat_delivery_seconds")),
        lines("Deliveries", "By node.", "ops", (rate("chat_deliveries_total", "node"), "{{node}}")),
        lines("Bytes that wait in an outbox", "Of sockets looked at. At SOCKET_OUTBOX_BYTES a socket is closed.", "bytes",
              (quantile(0.5, "chat_outbox_bytes"), "p50"), (quantile(0.99, "chat_outbox_bytes"), "p99")),
        lines("Frames that wait in an outbox", "Most have none.", "short",
              (quantile(0.5, "chat_outbox_frames"), "p50"), (quantile(0.99, "chat_outbox_frames"), "p99")),
        lines("Frames by write", "How well they are joined.", "short",
              (f"{rate('chat_frames_out_total')} / {rate('chat_flushes_total')}", "frames")),
        lines("Slow readers", "Closed with 4408.", "ops", (rate("chat_slow_readers_total", "node"), "{{node}}")),
        lines("Typing not delivered", "To readers that are behind; before they are closed.", "ops",
              (rate("chat_ephemera_dropped_total", "node"), "{{node}}")),
        lines("Text in and out", "Without the framing.", "Bps", (rate("chat_received_bytes_total"), "in"), (rate("chat_sent_bytes_total"), "out")),
    ]


def presence():
    return [
        lines("Users online, by node", "Users with a socket there.", "short", ("chat_presence_online{$S}", "{{node}}")),
        lines("Changes of presence", "Published, delivered, and put off.", "ops", (rate("chat_presence_changes_total", "step"), "{{step}}")),
        lines("Subscriptions", "Pairs of a socket and somebody whom it follows.", "short", ("chat_presence_subscriptions{$S}", "{{node}}")),
        lines("Presence written anew", "Redis may have lost it.", "ops", (rate("chat_presence_rewrites_total", "node"), "{{node}}")),
        lines("Last seen not stored", "Postgres was away for long.", "ops", (rate("chat_last_seen_dropped_total", "node"), "{{node}}")),
    ]


def board():
    rows = [
        ("Who is there?", there()),
        ("Do pushes reach them?", reached()),
        ("How do they come and go?", come()),
        ("What do they ask, and what are they answered?", asked()),
        ("Presence", presence()),
    ]
    return form.board("chat-sockets", "Chat / Sockets and delivery", "Sockets, requests, pushes, presence.", rows)
