"""How much is left, and what a message costs."""

import form
from form import RATE, bad_above, lines, rate, stat


def left():
    return [
        stat("The busiest node", "Share of its runtime's threads. Above 0.7 add a node.", "percentunit",
             f"max(rate(chat_runtime_busy_seconds_total{{$S}}[{RATE}]) / chat_runtime_workers{{$S}})", width=6, steps=bad_above(0.7, 0.9)),
        stat("Descriptors of the fullest node", "Of those allowed.", "percentunit",
             "max(process_open_fds{$S} / process_max_fds{$S})", width=6, steps=bad_above(0.6, 0.8)),
        stat("Connections to Postgres", "That all nodes may open together. Postgres must allow them.", "short",
             "sum(chat_postgres_connections_max{$S})", width=6),
        stat("Sockets in a week", "As the last hours go on.", "short",
             "sum(predict_linear(chat_connections{$S}[6h], 7 * 86400))", width=6),
    ]


def costs():
    cpu = f"sum(rate(process_cpu_seconds_total{{$S}}[{RATE}]))"
    done = rate("chat_commands_total", "", 'result="done"')
    return [
        lines("CPU of a committed command", "Microseconds over all nodes, everything that they do included.", "µs",
              (f"1e6 * {cpu} / {done}", "by command"), width=12),
        lines("CPU of a delivery", "The same by push.", "µs", (f"1e6 * {cpu} / {rate('chat_deliveries_total')}", "by delivery"), width=12),
        lines("Memory by socket", "All that a node holds, by the sockets that it has. Means something above some thousand.", "bytes",
              ("sum by (node) (process_resident_memory_bytes{$S}) / sum by (node) (chat_connections{$S} > 0)", "{{node}}"), width=12),
        lines("Bytes out by delivery", "Text.", "bytes", (f"{rate('chat_sent_bytes_total')} / {rate('chat_deliveries_total')}", "bytes"), width=12),
    ]


def grows():
    return [
        lines("Sockets", "All nodes, and a day before.", "short", ("sum(chat_connections{$S})", "now"),
              ("sum(chat_connections{$S} offset 1d)", "a day before")),
        lines("Sends", "All nodes, and a day before.", "reqps", (rate("chat_socket_requests_total", "", 'event="sendMessage"'), "now"),
              (f'sum(rate(chat_socket_requests_total{{$S,event="sendMessage"}}[{RATE}] offset 1d))', "a day before")),
        lines("Deliveries", "All nodes.", "ops", (rate("chat_deliveries_total"), "deliveries")),
        lines("CPU", "Cores by node.", "none", (f"rate(process_cpu_seconds_total{{$S}}[{RATE}])", "{{node}}"), stacked=True),
        lines("Memory", "By node.", "bytes", ("process_resident_memory_bytes{$S}", "{{node}}"), stacked=True),
        lines("Commands of one transaction, median", "Rises towards saturation: writers take more at once.", "short",
              (form.quantile(0.5, "chat_batch_commands"), "p50"), (form.quantile(0.99, "chat_batch_commands"), "p99")),
        lines("Is the load even?", "The fullest node by the mean. Partitions and sockets; 1 is even.", "short",
              ("max(chat_connections{$S}) / avg(chat_connections{$S})", "sockets"),
              ("max(chat_partitions_owned{$S}) / avg(chat_partitions_owned{$S})", "partitions")),
    ]


def board():
    rows = [("How much is left?", left()), ("What does a message cost?", costs()), ("How does it grow?", grows())]
    return form.board("chat-capacity", "Chat / Capacity", "How much is left, what a message costs, how it grows.", rows)
