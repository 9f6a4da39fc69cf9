-- Users whose display name begins with $2, by name, without those whose username does; see
-- user_search.rs. $1: who searches. $3, $4: behind which name and id. $5: how many.
select u.id, u.name_key as key
from users u
where u.name_key >= coalesce($3, $2)
  and u.name_key < $2 || chr(1114111)
  and ($3 is null or (u.name_key, u.id) > ($3, $4))
  and not starts_with(lower(u.username), $2)
  and u.discoverable
  and u.suspended_at is null
  and u.deleted_at is null
  and u.id <> $1
  and not exists (
      select from user_blocks b
      where (b.blocker_id = $1 and b.blocked_id = u.id)
         or (b.blocker_id = u.id and b.blocked_id = $1)
  )
order by u.name_key, u.id
limit $5
