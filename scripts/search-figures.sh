#!/usr/bin/env bash
# How long user searches take: runs the statements of src/store/user_search/ on made-up users and
# prints a time for each.
#
#   DATABASE_URL=… scripts/search-figures.sh [USERS]
#
# With PLANS=1 the scans of each are shown. Wants an empty database that it may fill (the migrations are run by it), `psql`, and a name that
# begins with `scratch`, so that no real one is filled by mistake. 100,000 users where not told.
set -euo pipefail
cd "$(dirname "$0")/.."
users=${1:-100000}
name=${DATABASE_URL:?name an empty database}
name=${name%%\?*}; name=${name##*/}
[[ $name == scratch* ]] || { echo "the database's name must begin with scratch" >&2; exit 1; }
run() { psql "$DATABASE_URL" --no-psqlrc --quiet --set ON_ERROR_STOP=1 "$@"; }

if [[ $(run -Atc "select to_regclass('users')") == "" ]]; then
  for file in migrations/*.sql; do run -f "$file"; done
fi
have=$(run -Atc 'select count(*) from users')
if ((have < users)); then
  # Names of two to four syllables, as unlike as names are; every tenth display name is Cyrillic.
  run --set users="$users" --set have="$have" <<'SQL'
select setseed(0.5) \g /dev/null
create function pg_temp.name(syllables int, is_cyrillic bool) returns text language sql volatile as $$
    select initcap(string_agg(
        case when is_cyrillic
             then (array['ан','бо','ви','га','де','жу','ев','ми','ни','ол','па','ра','се','та'])[1 + floor(random() * 14)]
             else (array['an','be','chi','do','el','fa','gri','ha','is','jo','ka','lu','mar','ne','os','pe','ro','sa','ti','ul','vic','wen','xa','yo','zel'])[1 + floor(random() * 25)]
        end, ''))
    from generate_series(1, syllables)
$$;
insert into users (id, username, email, display_name, password_hash, discoverable)
select gen_random_uuid(),
       lower(pg_temp.name(2 + n % 3, false)) || n,
       n || '@example.org',
       pg_temp.name(2 + n % 2, n % 10 = 0) || ' ' || pg_temp.name(3, n % 10 = 0),
       'none',
       n % 20 <> 0
from generate_series(:have + 1, :users) n;
insert into user_blocks (blocker_id, blocked_id)
select a.id, b.id
from (select id, row_number() over (order by id) n from users limit 2000) a
join (select id, row_number() over (order by id desc) n from users limit 2000) b
  on a.n = b.n and a.id <> b.id
on conflict do nothing;
vacuum analyze users, user_blocks;
SQL
fi
viewer=$(run -Atc 'select id from users order by id limit 1')
echo "users: $(run -Atc 'select count(*) from users'), of them discoverable: $(run -Atc 'select count(*) from users where discoverable')"

# The statements themselves, prepared as the service prepares them; the sixth execution may go by
# the generic plan, so the times are those of ten.
measure() { # name, types, arguments, the least likeness
  local statement="prepare it($2) as $(cat "src/store/user_search/$1.sql")"
  local execute="execute it('$viewer', $3)"
  {
    echo "select set_config('pg_trgm.word_similarity_threshold', '${4:-1}', false);"
    echo "$statement;"
    for _ in $(seq 10); do echo "explain (analyze, costs off, timing off) $execute;"; done
  } | run -At | awk -v what="$1 $3" '
      /Index Cond|Index Scan|Index Only Scan|Seq Scan|Sort Method/ && !seen[$0]++ { plan = plan "\n    " $0 }
      /Execution Time/ { times[++n] = $3; if ($3 > worst) worst = $3; sum += $3 }
      END { printf "%-58s mean %7.1f ms, worst %7.1f ms%s\n", what, sum / n, worst, ENVIRON["PLANS"] ? plan : "" }'
}
name='uuid, text, text, int8'
for words in m mar marel zzzz; do measure by_username "$name" "'$words', null, 51"; done
measure by_username "$name" "'mar', 'marti5', 51"
name='uuid, text, text, uuid, int8'
for words in m mar 'marel an' 'ан'; do measure by_name "$name" "'$words', null, null, 51"; done
name='uuid, text, float4, uuid, int8'
for words in ma mar; do measure by_likeness "$name" "'$words', null, null, 51" 0.6; done
for words in marle 'marel jokalu' grihaosti 'анбови' zzzz; do
  measure by_likeness "$name" "'$words', null, null, 51" 0.4
done
