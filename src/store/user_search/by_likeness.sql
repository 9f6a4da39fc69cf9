-- Users in whose names something is like $2, the likest first, without those whose names begin with
-- it; see user_search.rs. $1: who searches. $3, $4: behind which likeness and id. $5: how many.
select u.id, word_similarity($2, u.search_key) as likeness
from users u
where u.search_key %> $2
  and ($3::float4 is null
       or word_similarity($2, u.search_key) < $3
       or (word_similarity($2, u.search_key) = $3 and u.id > $4))
  and not starts_with(lower(u.username), $2)
  and not starts_with(u.name_key, $2)
  and u.discoverable
  and u.suspended_at is null
  and u.deleted_at is null
  and u.id <> $1
  and not exists (
      select from user_blocks b
      where (b.blocker_id = $1 and b.blocked_id = u.id)
         or (b.blocker_id = u.id and b.blocked_id = $1)
  )
order by likeness desc, u.id
limit $5
