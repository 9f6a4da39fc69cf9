"""What is done beside the requests: by the clock, by mail, and behind the writers."""

import form
from form import bad_above, bad_from, lines, quantiles, rate, stat


def late():
    return [
        stat("The latest job waits for", "0 where all is done. Above an hour no node does the work.", "s",
             "max(chat_job_late_seconds{$S})", width=6, steps=bad_above(600, 3600)),
        stat("Runs that failed, 1 day", "Each is tried again after 5 minutes.", "short",
             "sum(increase(chat_jobs_failed_total{$S}[1d]))", width=6, steps=bad_above(1, 10)),
        stat("Mails that failed, 1 h", "Or found no room to wait.", "short",
             'sum(increase(chat_mails_total{$S,result=~"failed|dropped"}[1h]))', width=6, steps=bad_from(1)),
        stat("Mails sent, 1 h", "Of all nodes.", "short", 'sum(increase(chat_mails_total{$S,result="sent"}[1h]))', width=6),
    ]


def jobs():
    return [
        lines("Which job is late?", "By job; all nodes know the same.", "s", ("max by (name) (chat_job_late_seconds{$S})", "{{name}}")),
        lines("Since a job was last done", "Anywhere in the cluster. Empty until it is done once.", "s",
              ("time() - max by (name) (chat_job_last_success_timestamp_seconds{$S} > 0)", "{{name}}")),
        lines("Rows ended or deleted", "By job.", "ops", (rate("chat_job_rows_total", "name"), "{{name}}")),
        lines("Slots done", "By the node that did them.", "short", ("sum by (name, node) (increase(chat_jobs_done_total{$S}[1h]))", "{{name}} {{node}}")),
        lines("Runs that failed", "By node.", "short", ("sum by (name, node) (increase(chat_jobs_failed_total{$S}[1h]))", "{{name}} {{node}}")),
        lines("Mails", "By what became of them.", "ops", (rate("chat_mails_total", "result"), "{{result}}")),
    ]


def behind():
    return [
        lines("How far is search behind?", "The longest wait of an event that search does not know yet.", "s",
              ("max by (node) (chat_search_lag_seconds{$S})", "{{node}}")),
        lines("Events that search does not know", "Of the partitions of each node.", "short",
              ("sum by (node) (chat_search_lag_messages{$S})", "{{node}}")),
        lines("Messages indexed", "Written into the index, or taken out of it.", "ops", (rate("chat_search_indexed_total", "node"), "{{node}}")),
        lines("A round of indexing", "Reading what changed, and writing it down.", "s", *quantiles("chat_search_index_seconds")),
        lines("Rounds of indexing that failed", "They are tried again.", "short",
              ("sum by (node) (increase(chat_search_failures_total{$S}[1h]))", "{{node}}")),
        lines("How long do marks of reading wait?", "The oldest that Postgres does not have yet.", "s",
              ("max by (node) (chat_receipt_lag_seconds{$S})", "{{node}}")),
        lines("Marks of reading", "By what became of them.", "ops", (rate("chat_receipts_total", "step"), "{{step}}")),
        lines("Marks of one call of Redis", "More is cheaper.", "short",
              (rate("chat_receipts_total", "", 'step="marked"') + " / " + rate("chat_receipt_calls_total"), "")),
    ]


def board():
    rows = [("Is anything late?", late()), ("Jobs and mails", jobs()), ("Search and marks of reading", behind())]
    return form.board("chat-work", "Chat / Jobs and mail", "Work by the clock, mails, search and marks of reading.", rows)
