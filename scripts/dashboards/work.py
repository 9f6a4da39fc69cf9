"""What is done beside the requests: by the clock, and by mail."""

import form
from form import bad_above, bad_from, lines, rate, stat


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


def board():
    rows = [("Is anything late?", late()), ("Jobs and mails", jobs())]
    return form.board("chat-work", "Chat / Jobs and mail", "Work by the clock, and mails.", rows)
