"""One node: is it well, what does it do, how much of it is left."""

import form
from form import RATE, bad_above, bad_from, good_from, lines, quantile, rate, stat


def well():
    return [
        stat("Is it ready?", "0: balancers send nobody here.", "bool_yes_no", ("chat_ready{$S}", "{{node}}"), steps=good_from(1)),
        stat("Is it being shut down?", "1 while it drains; over within the window of the drain.", "bool_yes_no",
             ("chat_draining{$S}", "{{node}}"), steps=[(None, "green"), (1, "yellow")]),
        stat("Up for", "Since its process was started.", "s", ("time() - process_start_time_seconds{$S}", "{{node}}")),
        stat("Stores that it reaches", "Of Postgres, Redis and, where one is set, the store of files.", "short",
             ("sum by (node) (chat_dependency_up{$S})", "{{node}}")),
        stat("Partitions that it writes", "All nodes together have all.", "short", ("chat_partitions_owned{$S}", "{{node}}")),
        stat("Sockets", "Authenticated and open.", "short", ("chat_connections{$S}", "{{node}}")),
    ]


def left():
    return [
        lines("CPU", "Cores that the process uses.", "none", (f"rate(process_cpu_seconds_total{{$S}}[{RATE}])", "{{node}}")),
        lines("Busy threads of the runtime", "Above 0.9 tasks wait for a thread, and everything slows down.", "percentunit",
              (f"rate(chat_runtime_busy_seconds_total{{$S}}[{RATE}]) / chat_runtime_workers{{$S}}", "{{node}}"),
              steps=bad_above(0.7, 0.9)),
        lines("Memory", "Resident.", "bytes", ("process_resident_memory_bytes{$S}", "{{node}}")),
        lines("Descriptors, of those allowed", "A socket takes one.", "percentunit",
              ("process_open_fds{$S} / process_max_fds{$S}", "{{node}}"), steps=bad_above(0.6, 0.8)),
        lines("Tasks", "A few for each socket. Growth without sockets is a leak.", "short",
              ("chat_runtime_tasks{$S}", "{{node}}")),
        lines("Tasks that wait for a thread", "In the queue that the threads share.", "short",
              ("chat_runtime_queued_tasks{$S}", "{{node}}")),
        lines("Threads", "Those of the runtime, of hashing, and of blocking work.", "short", ("process_threads{$S}", "{{node}}")),
        lines("Commands that wait for their answer", "Grows when the log stands still.", "short",
              ("chat_commands_waiting{$S}", "{{node}}")),
    ]


def does():
    return [
        lines("Frames", "In and out of sockets.", "ops", (rate("chat_frames_in_total", "node"), "{{node}} in"),
              (rate("chat_frames_out_total", "node"), "{{node}} out")),
        lines("Bytes", "Text, without the framing.", "Bps", (rate("chat_received_bytes_total", "node"), "{{node}} in"),
              (rate("chat_sent_bytes_total", "node"), "{{node}} out")),
        lines("Chats with somebody here", "A node reads all events, and hands on those of these.", "short", ("chat_rooms{$S}", "{{node}}")),
        lines("Requests of sockets", "By event.", "reqps", (rate("chat_socket_requests_total", "event"), "{{event}}")),
        lines("REST requests", "By status.", "reqps", (rate("chat_http_requests_total", "status"), "{{status}}")),
        lines("Lag of the partitions that it writes", "The oldest command's wait.", "s",
              ("chat_writer_lag_seconds{$S}", "{{node}} {{partition}}"), steps=bad_above(1, 5)),
        lines("Slow readers", "Sockets closed with 4408 here.", "ops", (rate("chat_slow_readers_total", "node"), "{{node}}")),
        lines("Stores, as seen from here", "1 where it answers.", "short",
              ("chat_dependency_up{$S}", "{{node}} {{dependency}}"), steps=good_from(1)),
        lines("From a send to its answer, p99", "Of the sends that this node took.", "s",
              (quantile(0.99, "chat_socket_request_seconds", "node", 'event="sendMessage"'), "{{node}}")),
    ]


def board():
    rows = [("Is it well?", well()), ("How much is left of it?", left()), ("What does it do?", does())]
    return form.board("chat-node", "Chat / A node", "One node, or several side by side.", rows)
