-- A user's groups by title and description; see chat_search.rs. $1: who searches. $2, $3: the words
-- as one, and each. $4, $5: behind which rank and chat. $6: how many. A node of the version before
-- makes chats without a row in chat_names.
select v.rank, c.id
from chat_members m
join chats c on c.id = m.chat_id and c.kind = 'group' and c.deleted_at is null
left join chat_names n on n.chat_id = c.id
cross join lateral (
    select coalesce(n.title_key, lower(normalize(coalesce(c.title, ''), nfkc))) as title,
           coalesce(n.description_key, lower(normalize(coalesce(c.description, ''), nfkc)))
               as description
) k
cross join lateral (
    select case
        when starts_with(k.title, $2) then 0
        when not exists (
            select from unnest($3::text[]) word where strpos(k.title, word) = 0
        ) then 1
        when not exists (
            select from unnest($3::text[]) word
            where strpos(k.title, word) = 0 and strpos(k.description, word) = 0
        ) then 2
    end as rank
) v
where m.user_id = $1
  and m.left_seq is null
  and v.rank is not null
  and ($4::int4 is null or v.rank > $4 or (v.rank = $4 and c.id < $5))
order by v.rank, c.id desc
limit $6
