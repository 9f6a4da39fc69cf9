-- Users whose username begins with $2, by username; see user_search.rs.
-- $1: who searches. $3: behind which name. $4: how many.
select u.id, lower(u.username) as key
from users u
where lower(u.username) collate "C" >= coalesce($3, $2)
  and lower(u.username) collate "C" < $2 || chr(1114111)
  and lower(u.username) is distinct from $3
  and u.discoverable
  and u.suspended_at is null
  and u.deleted_at is null
  and u.id <> $1
  and not exists (
      select from user_blocks b
      where (b.blocker_id = $1 and b.blocked_id = u.id)
         or (b.blocker_id = u.id and b.blocked_id = $1)
  )
order by lower(u.username) collate "C"
limit $4
