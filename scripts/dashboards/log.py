"""The log: partitions, their writers, and where the time of a message goes."""

import form
from form import RATE, bad_above, bad_from, lines, quantile, quantiles, rate, stat

PARTITION = '$S,partition=~"$partition"'


def increase(metric, by):
    return f"sum by ({by}) (increase({metric}{{$S}}[{RATE}]))"


def owned():
    return [
        stat("Partitions without an owner", "Sends into their chats wait. More than 5 s is not well.", "short",
             "max(chat_partitions{$S}) - count(count by (partition) (chat_partition_owned{$S} == 1))", steps=bad_from(1)),
        stat("Partitions with two owners", "For a moment after a takeover only. The fence lets one of them write.", "short",
             "count(count by (partition) (chat_partition_owned{$S} == 1) > 1) or vector(0)", steps=bad_from(1)),
        stat("The longest lag", "The oldest command that waits for its writer.", "s",
             "max(chat_writer_lag_seconds{$S})", steps=bad_above(1, 5)),
        stat("Partitions that refuse", "Their `in` is too long; senders are told unavailable.", "short",
             "max(chat_partitions_backlogged{$S})", steps=bad_from(1)),
        stat("Fence rejections, 15 min", "A stale owner tried to write, and was stopped.", "short",
             "sum(increase(chat_fence_rejected_total{$S}[15m]))", steps=bad_above(1, 10)),
        stat("Dead letters, 15 min", "Commands set aside, into the `dead` stream of their partition.", "short",
             "sum(increase(chat_dead_letters_total{$S}[15m]))", steps=bad_from(1)),
    ]


def behind():
    return [
        lines("Lag by partition", "One that stands out: a hot chat. All alike: Postgres or a starved node.", "s",
              (f"max by (partition) (chat_writer_lag_seconds{{{PARTITION}}})", "{{partition}}"), width=12, steps=bad_above(1, 5)),
        lines("Entries in `in`, by partition", "What waits, and up to some hundred that are done.", "short",
              (f"max by (partition) (chat_writer_lag_entries{{{PARTITION}}})", "{{partition}}"), width=12),
        lines("Owners", "How many partitions each node writes. They add up to all.", "short",
              ("chat_partitions_owned{$S}", "{{node}}"), stacked=True),
        lines("Takeovers", "Partitions that found a new owner.", "short", (increase("chat_takeovers_total", "node"), "{{node}}")),
        lines("How long a takeover takes", "From asking for the fence to the marker in `out`.", "s",
              (quantile(0.5, "chat_takeover_seconds"), "p50"), (quantile(0.99, "chat_takeover_seconds"), "p99")),
    ]


def decided():
    return [
        lines("Commands by what they came to", "Repeated: a client sent again what had been done.", "ops",
              (rate("chat_commands_total", "result"), "{{result}}"), stacked=True),
        lines("Commands of one transaction", "Grows with the load: that is how a writer keeps up.", "short",
              *quantiles("chat_batch_commands")),
        lines("Commands of one append", "Of one round trip to Redis.", "short", *quantiles("chat_append_commands")),
    ]


def stages():
    return [
        lines("From handing a command over to its answer", "Append, wait, commit, publish, and the way back.", "s",
              *quantiles("chat_command_seconds"), steps=bad_above(0.25, 1)),
        lines("Append", "From a node's queue into `in`. Slow: Redis, or the way there.", "s", *quantiles("chat_append_seconds")),
        lines("Commit", "A writer's transaction. Slow: Postgres.", "s", *quantiles("chat_commit_seconds")),
        lines("Publish", "From commit to `out`. Slow: Redis.", "s", *quantiles("chat_publish_seconds")),
        lines("Fan out", "From reading `out` to the outboxes. Slow: CPU, or large audiences.", "s", *quantiles("chat_fan_out_seconds")),
        lines("What fails on the way", "Appends, commits and publications that failed. Clients or writers try again.", "ops",
              (rate("chat_append_failed_total"), "append"), (rate("chat_commit_failed_total"), "commit"),
              (rate("chat_publish_failed_total"), "publish")),
    ]


def missed():
    return [
        lines("Fence rejections", "By the store that refused.", "ops", (rate("chat_fence_rejected_total", "by, node"), "{{node}} by {{by}}")),
        lines("Events that nodes missed", "A gap in `out`; what is missing is read from Postgres.", "ops",
              (rate("chat_out_gaps_total", "node"), "{{node}}")),
        lines("Catching up", "Chats, and the events read for them.", "ops",
              (rate("chat_catch_ups_total"), "chats"), (rate("chat_catch_up_events_total"), "events")),
        lines("How long catching up takes", "One chat. Empty while nothing is missed.", "s", *quantiles("chat_catch_up_seconds")),
        lines("Dead letters", "Commands that could not be read or done.", "ops", (rate("chat_dead_letters_total", "node"), "{{node}}")),
        lines("Commands that wait for their answer", "By the node that took them.", "short",
              ("chat_commands_waiting{$S}", "{{node}}")),
    ]


def board():
    rows = [
        ("Does every partition have one writer that keeps up?", owned()),
        ("Which partition is behind, and who owns it?", behind()),
        ("Where does the time of a message go?", stages()),
        ("What do writers do?", decided()),
        ("What was refused, missed, set aside?", missed()),
    ]
    return form.board("chat-log", "Chat / Log and writers", "Partitions, writers, and the stages of a message.", rows,
                      ("namespace", "node", "partition"))
