-- The newest messages that the index has for some words; see find.rs.
-- $1: the viewer. $2 to $4: groups of chats, each with their ids, words, and phrases. $5 to $7: the
-- place behind which they must be. $8: not before. $9: whether the viewer blocks anybody. $10: how many.
select f.created_at, f.chat_id, f.seq
from (
    select chats::uuid[] as chats, words::tsquery as words, phrases::tsquery as phrases
    from unnest($2::text[], $3::text[], $4::text[]) u (chats, words, phrases)
    offset 0
) i
cross join lateral (
    select s.created_at, s.chat_id, s.seq
    from (
        -- By itself: no other index may be read beside that of the words.
        select s.created_at, s.chat_id, s.seq, s.sender_id, s.has_places, s.terms
        from message_search s
        where s.terms @@ i.words
        offset 0
    ) s
    where (s.created_at, s.chat_id, s.seq) < ($5, $6, $7)
      and ($8::timestamptz is null or s.created_at > $8)
      and s.chat_id = any(i.chats)
      and (i.phrases is null or not s.has_places or s.terms @@ i.phrases)
      and (not $9 or not exists (
          select from user_blocks b
          join chats c on c.id = s.chat_id and c.kind = 'group'
          where b.blocker_id = $1 and b.blocked_id = s.sender_id
      ))
) f
order by f.created_at desc, f.chat_id desc, f.seq desc
limit $10
