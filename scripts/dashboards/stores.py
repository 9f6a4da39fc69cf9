"""Postgres, Redis and the store of files, as the nodes see them."""

import form
from form import bad_above, good_from, lines, quantile, rate, stat


def there():
    one = [
        ("Postgres", "postgres", "Without it nothing is answered ok."),
        ("Redis", "redis", "Without it sends fail, and reading goes on."),
        ("Files", "storage", "Without it files fail. Empty where none is set."),
    ]
    return [
        stat(f"{title}: nodes that reach it", description, "short",
             f'sum(chat_dependency_up{{$S,dependency="{name}"}})', steps=good_from(1))
        for title, name, description in one
    ] + [
        stat("Connections to Redis that are up", "One for each node and shard.", "short", "sum(chat_redis_connected{$S})"),
        stat("Connections to Postgres in use", "Of those that the pools may have.", "percentunit",
             'max(sum by (node) (chat_postgres_connections{$S,state="in_use"}) / sum by (node) (chat_postgres_connections_max{$S}))',
             steps=bad_above(0.7, 0.9)),
        stat("Which store is away?", "Pairs of a node and a store that it does not reach.", "short",
             "count(chat_dependency_up{$S} == 0) or vector(0)", steps=[(None, "green"), (1, "red")]),
    ]


def calls(store, title, width=8):
    return [
        lines(f"{title}: p99 by call", "By what it was for. Empty for what was not asked.", "s",
              (quantile(0.99, f"chat_{store}_seconds", "call"), "{{call}}"), width=width),
        lines(f"{title}: calls", "A second.", "ops", (rate(f"chat_{store}_seconds_count", "call"), "{{call}}"), width=width),
        lines(f"{title}: failed calls", "A second.", "ops", (rate(f"chat_{store}_errors_total", "call"), "{{call}}"), width=width),
    ]


def postgres():
    return calls("postgres", "Postgres") + [
        lines("Commits", "A writer's transaction. Above half a second sends feel slow.", "s",
              (quantile(0.5, "chat_commit_seconds"), "p50"), (quantile(0.99, "chat_commit_seconds"), "p99"), steps=bad_above(0.1, 0.5)),
        lines("Connections by pool", "In use, and the most that the pool may have.", "short",
              ('sum by (pool) (chat_postgres_connections{$S,state="in_use"})', "{{pool}} in use"),
              ('sum by (pool) (chat_postgres_connections{$S,state="idle"})', "{{pool}} idle"),
              ("sum by (pool) (chat_postgres_connections_max{$S})", "{{pool}} at the most")),
        lines("Waiting for a connection", "Of the probe, in the requests' pool. Above 0.1 s the pool is too small.", "s",
              (quantile(0.99, "chat_postgres_acquire_seconds", "node"), "{{node}}"), steps=bad_above(0.1, 1)),
        lines("Commits that failed", "Or of which nobody knows. The writer finds out before it goes on.", "ops",
              (rate("chat_commit_failed_total", "node"), "{{node}}")),
    ]


def redis():
    return calls("redis", "Redis") + [
        lines("Connected, by shard", "Nodes whose shared connection is up.", "short",
              ("sum by (shard) (chat_redis_connected{$S})", "shard {{shard}}")),
        lines("Commands that wait for the connection", "Grows when Redis is slow or stalls.", "short",
              ("sum by (shard) (chat_redis_commands_queued{$S})", "shard {{shard}}")),
        lines("Append and publish", "Round trips that each message makes.", "s",
              (quantile(0.99, "chat_append_seconds"), "append p99"), (quantile(0.99, "chat_publish_seconds"), "publish p99")),
    ]


def board():
    rows = [
        ("Which store is away?", there()),
        ("Postgres", postgres()),
        ("Redis", redis()),
        ("Files", calls("storage", "Files")),
    ]
    return form.board("chat-stores", "Chat / Stores", "Postgres, Redis and S3 from the nodes' side. Their own exporters tell the rest.", rows)
