-- Reads chats backwards in time, and tells what fits of it; see find.rs.
-- $1: the viewer. $2 to $6: the chats, each with the place behind which it is read, its words, and its
-- phrases. $7: messages of each. $8: not before. $9: whether the viewer blocks anybody.
select i.ord, w.read, w.last_at, w.last_seq, w.found_at, w.found_seqs
from (
    select ord, chat_id, at, seq, words::tsquery as words, phrases::tsquery as phrases
    from unnest($2::uuid[], $3::timestamptz[], $4::int8[], $5::text[], $6::text[]) with ordinality
         u (chat_id, at, seq, words, phrases, ord)
    offset 0
) i
cross join lateral (
    select count(*) as read,
           (array_agg(r.created_at))[count(*)] as last_at,
           (array_agg(r.seq))[count(*)] as last_seq,
           array_agg(r.created_at) filter (where r.fits) as found_at,
           array_agg(r.seq) filter (where r.fits) as found_seqs
    from (
        select s.created_at, s.seq,
               case
                   when not s.terms @@ i.words then false
                   when i.phrases is not null and s.has_places and not s.terms @@ i.phrases then false
                   when not $9 then true
                   -- In a direct chat what was said stays readable.
                   else not exists (
                       select from user_blocks b
                       join chats c on c.id = s.chat_id and c.kind = 'group'
                       where b.blocker_id = $1 and b.blocked_id = s.sender_id
                   )
               end as fits
        from message_search s
        where s.chat_id = i.chat_id
          and (s.created_at, s.seq) < (i.at, i.seq)
          and ($8::timestamptz is null or s.created_at > $8)
        order by s.created_at desc, s.seq desc
        limit $7
    ) r
) w
