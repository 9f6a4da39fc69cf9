"""One screen: is anything broken, and where."""

import form
from form import bad_above, bad_from, good_above, good_from, lines, quantile, quantiles, rate, stat, table

FAILED = 'event="sendMessage",code=~"unavailable|timeout|internal"'
SENT = 'event="sendMessage"'


def lowest(dependency):
    return f'min(chat_dependency_up{{$S,dependency="{dependency}"}})'


def budget(slo):
    return f"1 - chat:{slo}:ratio_rate1h{{{form.NAMESPACE}}} / 0.001"


def broken():
    return [
        stat("Alerts that fire", "Of this service. Each has its page in docs/runbooks.", "short",
             'count(ALERTS{alertname=~"Chat.+",alertstate="firing",namespace=~"$namespace"}) or vector(0)',
             width=3, steps=bad_from(1)),
        stat("Nodes that are ready", "Clients may be sent to these.", "short",
             "sum(chat_ready{$S})", width=3, steps=good_above(1, 2)),
        stat("Partitions without an owner", "Sends into their chats wait.", "short",
             "max(chat_partitions{$S}) - count(count by (partition) (chat_partition_owned{$S} == 1))",
             width=3, steps=bad_from(1)),
        stat("Is Postgres there?", "0: some node does not reach it. Nothing is answered ok without it.", "bool_yes_no",
             lowest("postgres"), width=3, steps=good_from(1)),
        stat("Is Redis there?", "0: some node does not reach all shards. Sends fail, reading goes on.", "bool_yes_no",
             lowest("redis"), width=3, steps=good_from(1)),
        stat("Is the store of files there?", "0: files fail, all else goes on. Empty where none is set.", "bool_yes_no",
             lowest("storage"), width=3, steps=good_from(1)),
        stat("Budget of sends", "What the last hour leaves of the hour's share of 0.1 % failed sends. Below 0 it is overspent.",
             "percentunit", budget("send_errors"), width=3, steps=good_above(0, 0.5)),
        stat("Budget of REST", "The same for REST requests answered 5xx.", "percentunit",
             budget("http_errors"), width=3, steps=good_above(0, 0.5)),
    ]


def sends():
    return [
        lines("Sends by outcome", "What senders were answered.", "reqps",
              (rate("chat_socket_requests_total", "code", SENT), "{{code}}"), stacked=True),
        lines("Do sends fail?", "Unavailable, timeout or internal, of all sends. Clients send again under the same id.",
              "percentunit",
              (f"{rate('chat_socket_requests_total', '', FAILED)} / {rate('chat_socket_requests_total', '', SENT)}", "failed"),
              steps=bad_above(0.001, 0.0144)),
        lines("From a send to its answer", "Answered means committed to Postgres. Where the time goes: board Log and writers.",
              "s", *quantiles("chat_socket_request_seconds", SENT), steps=bad_above(0.25, 1)),
        lines("Events and deliveries", "An event is delivered to every socket in its chat.", "ops",
              (f"sum by (node) (rate(chat_events_total{{$S}}[{form.RATE}]))", "events seen by {{node}}"),
              (rate("chat_deliveries_total"), "deliveries")),
        lines("REST by status", "All nodes.", "reqps", (rate("chat_http_requests_total", "status"), "{{status}}"), stacked=True),
        lines("REST p99", "From the head of the request to the head of the answer.", "s",
              (quantile(0.99, "chat_http_seconds"), "p99"), (quantile(0.5, "chat_http_seconds"), "p50")),
    ]


def people():
    return [
        lines("Sockets by node", "Authenticated and open. A node far above the others got them when another went.", "short",
              ("sum by (node) (chat_connections{$S})", "{{node}}"), stacked=True),
        lines("Opened and closed", "Many of both: a storm of returning clients.", "ops",
              (rate("chat_connections_opened_total"), "opened"), (rate("chat_connections_closed_total", "initiator"), "closed by {{initiator}}")),
        lines("Slow readers", "Sockets closed with 4408, because they read too slowly.", "ops",
              (rate("chat_slow_readers_total", "node"), "{{node}}")),
    ]


def hurting():
    return [
        lines("Is a writer behind?", "How long the oldest command has waited, by partition. One: a hot chat. All: Postgres.", "s",
              ("topk(5, max by (partition) (chat_writer_lag_seconds{$S}))", "{{partition}}"), steps=bad_above(1, 5)),
        lines("Stores' p99 and commits", "The slowest part of each send is the commit.", "s",
              (quantile(0.99, "chat_commit_seconds"), "commit"), (quantile(0.99, "chat_append_seconds"), "append"),
              (quantile(0.99, "chat_publish_seconds"), "publish")),
        lines("CPU by node", "Cores.", "none",
              (f"sum by (node) (rate(process_cpu_seconds_total{{$S}}[{form.RATE}]))", "{{node}}")),
    ]


def changed():
    return [
        table("Which build runs where?", "Two builds side by side: a rollout goes on, or has stuck.", "short",
              "chat_build_info{$S}"),
        lines("Nodes up for", "A line that drops to zero is a restart.", "s",
              ("time() - process_start_time_seconds{$S}", "{{node}}")),
        lines("Takeovers", "Partitions that found a new owner: a node went, or lost its leases.", "short",
              (f"sum by (node) (increase(chat_takeovers_total{{$S}}[{form.RATE}]))", "{{node}}")),
    ]


def board():
    rows = [
        ("Is anything broken?", broken()),
        ("Do people get what they send?", sends()),
        ("Who is there?", people()),
        ("Where does it hurt?", hurting()),
        ("What has changed?", changed()),
    ]
    return form.board("chat-overview", "Chat / Overview", "Is anything broken, and where. Begin here.", rows, ("namespace", "node"))
