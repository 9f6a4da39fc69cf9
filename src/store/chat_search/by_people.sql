-- A user's chats by who is in them; see chat_search.rs. $1: who searches. $2: the words. $3: whether
-- being like them is enough. $4, $5: behind which rank and chat. $6: how many. $7, $8: members of a
-- chat, and chats, that are looked at.
with mine as materialized (
    select c.id
    from chat_members m
    join chats c on c.id = m.chat_id and c.deleted_at is null and c.member_count <= $7
    where m.user_id = $1 and m.left_seq is null
    order by c.last_activity_at desc
    limit $8
),
seats as materialized (
    select p.chat_id, p.user_id
    from mine
    join chat_members p on p.chat_id = mine.id and p.left_seq is null
    where p.user_id <> $1
),
found as materialized (
    select u.id, v.rank
    from (select distinct user_id from seats) p
    join users u on u.id = p.user_id and u.deleted_at is null
    cross join lateral (
        select case
            when starts_with(lower(u.username), $2) or starts_with(u.name_key, $2) then 0
            when strpos(' ' || u.name_key, ' ' || $2) > 0 then 1
            when $3 and word_similarity($2, u.search_key) >= 0.4 then 2
        end as rank
    ) v
    where v.rank is not null
      and not exists (
          select from user_blocks b
          where (b.blocker_id = $1 and b.blocked_id = u.id)
             or (b.blocker_id = u.id and b.blocked_id = $1)
      )
)
select min(found.rank) as rank, seats.chat_id as id
from found
join seats on seats.user_id = found.id
group by seats.chat_id
having $4::int4 is null
    or min(found.rank) > $4
    or (min(found.rank) = $4 and seats.chat_id < $5)
order by min(found.rank), seats.chat_id desc
limit $6
