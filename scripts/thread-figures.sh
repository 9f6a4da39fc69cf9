#!/usr/bin/env bash
# How long parts of a thread take, and what counting an answer costs: runs the statements of
# src/store/messages/ on a made-up chat and prints a time, and the pages read, for each.
#
#   DATABASE_URL=… scripts/thread-figures.sh [MESSAGES] [ANSWERS]
#
# With PLANS=1 the plans are shown. Wants an empty database that it may fill (the migrations are run
# by it), `psql`, and a name that begins with `scratch`, so that no real one is filled by mistake.
# Where not told: 1,000,000 messages, of which 100,000 are one thread. A tenth of these answer the
# root; each of them begins a branch of ten, one below the other, but for one answer early in the
# thread, which the last half of the thread answers, directly or not.
set -euo pipefail
cd "$(dirname "$0")/.."
messages=${1:-1000000}
answers=${2:-100000}
name=${DATABASE_URL:?name an empty database}
name=${name%%\?*}; name=${name##*/}
[[ $name == scratch* ]] || { echo "the database's name must begin with scratch" >&2; exit 1; }
run() { psql "$DATABASE_URL" --no-psqlrc --quiet --set ON_ERROR_STOP=1 "$@"; }

if [[ $(run -Atc "select to_regclass('messages')") == "" ]]; then
  for file in migrations/*.sql; do run -f "$file"; done
fi
if [[ $(run -Atc 'select count(*) from messages') == 0 ]]; then
  run --set messages="$messages" --set answers="$answers" <<'SQL'
-- Answers are spread evenly over the chat; n is the answer's number, 0 the root.
insert into messages (chat_id, seq, id, sender_id, client_id, content_hash, ordinal, body,
                      reply_to_seq, thread_root_id, depth, changed_seq, created_at)
select '00000000-0000-7000-8000-000000000001',
       seq,
       case when seq = 1 then '00000000-0000-7000-8000-000000000002' else gen_random_uuid() end,
       '00000000-0000-7000-8000-000000000003', gen_random_uuid(), 0, seq,
       repeat('words of some length, as people write them; ', 1 + seq % 3),
       case when parent is not null then 1 + parent * step end,
       case when parent is not null then '00000000-0000-7000-8000-000000000002'::uuid end,
       0, seq, now()
from (select :messages / (:answers + 1) as step) s
cross join generate_series(1, :messages) seq
cross join lateral (
    select case when (seq - 1) % step = 0 and (seq - 1) / step between 1 and :answers
                then (seq - 1) / step end as n
) place
cross join lateral (
    select case
        when n is null then null
        when n % 10 = 1 and n < :answers / 2 then 0
        when n % 10 = 1 then 11
        else n - 1
    end as parent
) answered;
insert into message_answers (chat_id, answered_seq, seq)
with recursive above as (
    select m.chat_id, m.seq, p.seq as answered_seq, p.reply_to_seq
    from messages m
    join messages p on p.chat_id = m.chat_id and p.seq = m.reply_to_seq
    union all
    select a.chat_id, a.seq, p.seq, p.reply_to_seq
    from above a
    join messages p on p.chat_id = a.chat_id and p.seq = a.reply_to_seq
)
select chat_id, answered_seq, seq from above where reply_to_seq is not null;
vacuum analyze messages, message_answers;
SQL
fi
run -At <<'SQL'
select 'messages: ' || (select count(*) from messages)
       || ', answers: ' || (select count(*) from messages where reply_to_seq is not null)
       || ', pairs kept: ' || (select count(*) from message_answers)
       || ' (' || pg_size_pretty(pg_total_relation_size('message_answers')) || ', messages '
       || pg_size_pretty(pg_total_relation_size('messages')) || ')';
SQL

# The statements themselves, prepared as the service prepares them; the sixth execution may go by
# the generic plan, so the times are those of ten.
measure() { # what, statement, types, arguments
  local execute="execute it($4)"
  {
    echo "prepare it($3) as $(cat src/store/messages/select.sql "src/store/messages/$2.sql");"
    for _ in $(seq 10); do echo "explain (analyze, buffers, costs off, timing off) $execute;"; done
  } | run -At | awk -v what="$1" '
      /^ *Planning/ { planning = 1 }
      /Buffers:/ && !planning && !pages { pages = $0; sub(/.*Buffers: /, "", pages) }
      /Index|Scan|Join|Loop|Sort|Limit/ && !seen[$0]++ { plan = plan "\n    " $0 }
      /Execution Time/ { planning = 0; times[++n] = $3; if ($3 > worst) worst = $3; sum += $3 }
      END { printf "%-52s mean %6.2f ms, worst %6.2f ms; %s%s\n", what, sum / n, worst, pages, ENVIRON["PLANS"] ? plan : "" }'
}
chat="'00000000-0000-7000-8000-000000000001'"
root="'00000000-0000-7000-8000-000000000002'"
types='uuid, uuid, int8, int8'
last=$(run -Atc 'select max(seq) from messages where reply_to_seq is not null')
measure 'the root: first part' answers_to_root "$types" "$chat, $root, 0, 51"
measure 'the root: in the middle' answers_to_root "$types" "$chat, $root, $((last / 2)), 51"
measure 'the root: the end' answers_to_root "$types" "$chat, $root, $((last - 400)), 51"
types='uuid, int8, int8, int8'
busy=$(run -Atc 'select answered_seq from message_answers group by 1 order by count(*) desc limit 1')
count=$(run -Atc "select count(*) from message_answers where answered_seq = $busy")
few=$(run -Atc "select answered_seq from message_answers where answered_seq < $last / 4 group by 1 having count(*) = 9 limit 1")
measure "an answer with $count below it: first part" answers_to_answer "$types" "$chat, $busy, 0, 51"
measure "an answer with $count below it: the end" answers_to_answer "$types" "$chat, $busy, $((last - 400)), 51"
measure 'an answer with 9 below it' answers_to_answer "$types" "$chat, $few, 0, 51"
measure 'an answer with none below it' answers_to_answer "$types" "$chat, $last, 0, 51"
