#!/usr/bin/env bash
# How long searches for messages take, what the index costs, and how fast it is made: fills a database
# with made-up messages, lets a node index them, and asks it over HTTP.
#
#   chat-service with-services -- scripts/message-search-figures.sh [MESSAGES] [FILE…]
#
# A million messages where not told: half in one chat, a quarter in 1,000 small ones, a quarter in 100
# others, over a year, in words as common as words are (Zipf), every fiftieth message in Chinese. The
# lines of the FILEs (such as IRC logs) become every third message. Wants `psql`, `curl`, `python3`, and
# a built `target/release/chat-service` (or the one that CHAT_SERVICE names). Prints CPU times, which
# hold on a busy machine too, and latencies, which do not. ROUNDS=40 is how often each search is made.
set -euo pipefail
cd "$(dirname "$0")/.."
messages=${1:-1000000}
shift $(($# > 0 ? 1 : 0))
server=${TEST_POSTGRES_URL:?run it by: chat-service with-services -- $0}
chat=${CHAT_SERVICE:-$PWD/target/release/chat-service}
dir=$(mktemp -d)
node=
trap '[[ -z $node ]] || kill "$node" 2>/dev/null || true; wait; rm -rf "$dir"' EXIT
name=scratch_messages_$$
psql "$server" --no-psqlrc -qc "create database $name"
query=
[[ $server != *\?* ]] || query="?${server#*\?}"
base=${server%%\?*}
export DATABASE_URL="${base%/*}/$name$query"
run() { psql "$DATABASE_URL" --no-psqlrc --quiet --set ON_ERROR_STOP=1 "$@"; }
port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
http=$(port) metrics=$(port)
export APP_ENV=development NODE_NAME=n1 NODE_ROLES=edge,writer REDIS_URL=$TEST_REDIS_URLS REDIS_PREFIX=$name
export HTTP_ADDR=127.0.0.1:$http METRICS_ADDR=127.0.0.1:$metrics JWT_SECRET=0123456789abcdef0123456789abcdef
export RATE_SEARCH=100000/10s RATE_ADDRESS=100000/10s RATE_SIGN_UP=1000/1s RATE_AUTH=1000/1s RATE_READ=100000/10s
"$chat" migrate
"$chat" serve >"$dir/log" 2>&1 &
node=$!
api=http://127.0.0.1:$http/api
until curl -fs "$api/health/ready" >/dev/null; do
  kill -0 "$node" || { cat "$dir/log"; exit 1; }
  sleep 0.2
done
declare -A token id
for who in big many all; do
  body="{\"username\": \"$who\", \"email\": \"$who@example.org\", \"password\": \"a horse of course\"}"
  answer=$(curl -fs -H 'content-type: application/json' -d "$body" "$api/v1/auth/signup")
  token[$who]=$(sed 's/.*"accessToken":"\([^"]*\)".*/\1/' <<<"$answer")
  id[$who]=$(run -Atc "select id from users where username = '$who'")
done
kill "$node"; wait "$node" || true; node=

echo "making $messages messages"
run -c 'create unlogged table lines (n bigserial, text text not null)'
for file in "$@"; do
  # What is said, without times and names.
  sed -n 's/.*\[[0-9:]*\] <[^>]*> \(.*[^ ].*\)/\1/p' "$file" | tr -d '\\\000\t\r' | run -c '\copy lines (text) from stdin'
done
run --set messages="$messages" --set big="${id[big]}" --set many="${id[many]}" --set all="${id[all]}" <<'SQL'
select setseed(0.5) \g /dev/null
create unlogged table vocabulary (n int primary key, word text not null);
insert into vocabulary
select n, (select string_agg((array['an','be','chi','do','el','fa','gri','ha','is','jo','ka','lu','mar','ne','os','pe','ro','sa','ti','ul','vic','wen','xa','yo','zel','sto','qu','bra','the','er'])[1 + floor(random() * 30)::int + 0 * s * n], '')
           from generate_series(1, 1 + n % 3 + (n > 900)::int) s)
from generate_series(1, 60000) n;
create unlogged table chat_list as
select n, gen_random_uuid() as id from generate_series(0, 1100) n;
insert into chats (id, kind, partition, title, created_by, last_activity_at, created_at, updated_at)
select id, 'group', n % 16, 'chat ' || n, :'all', now(), now(), now() from chat_list;
insert into chat_members (chat_id, user_id, role, joined_at, joined_seq, changed_seq)
select id, u::uuid, 'member', now(), 1, 1
from chat_list, unnest(array[:'big', :'many', :'all']) u
where u = :'all' or (u = :'big' and n = 0) or (u = :'many' and n between 1 and 1000);
create unlogged table senders as
select n, gen_random_uuid() as id from generate_series(0, 499) n;
create unlogged table picks as
select n, (exp(random() * ln(60000)))::int as w
from (select n, (exp(random() * ln(30)))::int as length from generate_series(1, :messages) n offset 0) m,
     generate_series(1, length);
create unlogged table texts as
select p.n, string_agg(v.word, ' ') as text
from picks p
join vocabulary v on v.n = greatest(p.w, 1)
group by p.n;
SQL
run --set messages="$messages" <<'SQL'
create function pg_temp.han(n int8) returns text language sql volatile as $$
    select string_agg(chr(19968 + (exp(random() * ln(2000)))::int), '') from generate_series(1, 6 + n % 20)
$$;
insert into messages (chat_id, seq, id, sender_id, client_id, content_hash, ordinal, body, changed_seq, created_at)
select c.id, p.seq, gen_random_uuid(), s.id, gen_random_uuid(), 0, p.seq - 1,
       coalesce(l.text, case when t.n % 50 = 0 then pg_temp.han(t.n) else t.text end),
       p.seq, date_trunc('milliseconds', now() - (:messages - t.n) * interval '1 year' / :messages)
from texts t
cross join lateral (
    select case t.n % 4 when 2 then 1 + t.n / 4 % 1000 when 3 then 1001 + t.n / 4 % 100 else 0 end as chat,
           case t.n % 4 when 2 then 2 + t.n / 4000 when 3 then 2 + t.n / 400 else 2 + t.n / 4 * 2 + t.n % 4 end as seq
) p
join chat_list c on c.n = p.chat
join senders s on s.n = t.n % 500
left join lines l on t.n % 3 = 1 and l.n = 1 + t.n / 3 % (select greatest(count(*), 1) from lines)
order by t.n;
update chats c
set last_seq = m.seq, message_count = m.seq - 1, last_message_seq = m.seq, last_activity_at = m.at
from (select chat_id, max(seq) as seq, max(created_at) as at from messages group by chat_id) m
where m.chat_id = c.id;
drop table picks, texts;
vacuum analyze;
SQL

ticks() { awk '{ print ($14 + $15) * 10000 }' "/proc/$1/stat"; }
value() { curl -fs "http://127.0.0.1:$metrics/metrics" | awk -v name="$1" 'index($0, name) == 1 { sum += $NF } END { print sum + 0 }'; }
"$chat" serve >"$dir/log" 2>&1 &
node=$!
until curl -fs "$api/health/ready" >/dev/null; do sleep 0.2; done
begun=$(date +%s.%N)
until pg=$(run -Atc "select pid from pg_stat_activity where datname = '$name' and application_name = 'chat-service search'") && [[ -n $pg ]]; do sleep 0.2; done
last=0
while ((last < messages)); do
  sleep 2
  last=$(value chat_search_indexed_total)
  node_cpu=$(ticks "$node") pg_cpu=$(ticks "$pg" 2>/dev/null || echo 0)
done
ended=$(date +%s.%N)
awk -v n="$messages" -v s="$begun" -v e="$ended" -v node="$node_cpu" -v pg="$pg_cpu" 'BEGIN {
  printf "indexed: %d messages, %.0f/s; CPU a message: node %.1f us, Postgres %.1f us\n", n, n / (e - s), node / n, pg / n }'
run -At <<'SQL'
vacuum analyze message_search;
select 'sizes: ' || pg_size_pretty(pg_table_size('messages')) || ' messages, ' ||
       pg_size_pretty(pg_table_size('message_search')) || ' rows of search, ' ||
       pg_size_pretty(pg_relation_size('message_search_pkey')) || ' its key, ' ||
       pg_size_pretty(pg_relation_size('message_search_terms')) || ' words';
SQL

# Words by how common they are; the last of a query may go on, so it stands in quotes.
word() { run -Atc "select word from vocabulary where n = $1"; }
common=$(word 2) frequent=$(word 30) middle=$(word 400) rare=$(word 20000) none=zzzzqqqq
big=$(run -Atc 'select id from chat_list where n = 0')
sender=$(run -Atc 'select id from senders where n = 8')
phrase=$(run -Atc "select split_part(body, ' ', 2) || ' ' || split_part(body, ' ', 3) from messages where chat_id = '$big' and body ~ '^[a-z]+ [a-z]{3,} [a-z]{3,} ' order by seq offset 900 limit 1")
han=$(run -Atc "select left(body, 2) from messages where body ~ '^[一-龥]{6}' limit 1")
failed=0
measure() { # what, who, arguments of curl
  local what=$1 who=$2; shift 2
  for _ in $(seq "${ROUNDS:-40}"); do
    curl -sG -o "$dir/answer" -w '%{time_total} %{http_code}\n' -H "authorization: Bearer ${token[$who]}" "$api/v1/messages/search" "$@"
  done >"$dir/times"
  ! grep -qv ' 200$' "$dir/times" || { failed=1; tail -1 "$dir/times"; cat "$dir/answer"; }
  sort -n "$dir/times" | awk -v what="$who: $what" -v items="$(grep -o '"highlight"' "$dir/answer" | wc -l)" '
      { times[NR] = $1 * 1000 } END { i = int(NR * 0.99); if (i < 1) i = 1
      printf "%-44s %3d found   p50 %6.1f ms   p99 %6.1f ms\n", what, items, times[int((NR + 1) / 2)], times[NR == i ? i : i + (NR * 0.99 > i)] }'
}
for who in big many all; do
  measure "a common word ($common)" $who --data-urlencode "q=\"$common\""
  measure "a frequent word ($frequent)" $who --data-urlencode "q=\"$frequent\""
  measure "a middling word ($middle)" $who --data-urlencode "q=\"$middle\""
  measure "a rare word ($rare)" $who --data-urlencode "q=\"$rare\""
  measure 'a word that is nowhere' $who --data-urlencode "q=\"$none\""
  measure 'two frequent words' $who --data-urlencode "q=\"$frequent\" \"$(word 45)\""
  measure 'the beginning of a word' $who --data-urlencode 'q=zel'
  measure 'a beginning of two letters' $who --data-urlencode 'q=xa'
  measure 'a phrase' $who --data-urlencode "q=\"$phrase\""
  measure 'a pair of Chinese characters' $who --data-urlencode "q=$han"
  measure 'one Chinese character' $who --data-urlencode "q=${han:0:1}"
  measure 'a frequent word by one sender' $who --data-urlencode "q=\"$frequent\"" -d "from=$sender"
  measure 'a frequent word, half a year ago' $who --data-urlencode "q=\"$frequent\"" -d "before=$(date -ud '6 months ago' +%FT%TZ)"
  # The twentieth page.
  cursor=
  for _ in $(seq 19); do
    next=$(curl -sG -H "authorization: Bearer ${token[$who]}" "$api/v1/messages/search" --data-urlencode "q=\"$frequent\"" ${cursor:+-d "cursor=$cursor"} | sed -n 's/.*"nextCursor":"\([^"]*\)".*/\1/p')
    [[ -n $next ]] || break
    cursor=$next
  done
  measure 'a frequent word, the 20th page' $who --data-urlencode "q=\"$frequent\"" -d "cursor=$cursor"
done
exit $failed
