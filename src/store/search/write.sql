-- Writes down what changed in chats; see index.rs.
-- $1 to $3: the chats, where their index stood, and where it stands then. $4 to $6: the messages that
-- are gone. $7 to $13: those that are there.
with wanted as (
    select chat_id, from_seq, to_seq
    from unnest($1::uuid[], $2::int8[], $3::int8[]) i (chat_id, from_seq, to_seq)
),
-- A chat without a row stands at 0. Two that add it at once: the second finds the first one's seq.
moved as (
    insert into search_progress as p (chat_id, seq)
    select chat_id, to_seq
    from wanted
    order by chat_id
    on conflict (chat_id) do update
    set seq = excluded.seq
    where p.seq = (select w.from_seq from wanted w where w.chat_id = p.chat_id)
    returning p.chat_id
),
gone as (
    delete from message_search s
    using unnest($4::uuid[], $5::timestamptz[], $6::int8[]) g (chat_id, created_at, seq)
    where s.chat_id = g.chat_id
      and s.created_at = g.created_at
      and s.seq = g.seq
      and g.chat_id in (select chat_id from moved)
),
kept as (
    insert into message_search (chat_id, created_at, seq, sender_id, has_file, has_places, terms)
    select chat_id, created_at, seq, sender_id, has_file, has_places, terms::tsvector
    from unnest($7::uuid[], $8::timestamptz[], $9::int8[], $10::uuid[], $11::bool[], $12::bool[],
                $13::text[])
         i (chat_id, created_at, seq, sender_id, has_file, has_places, terms)
    where chat_id in (select chat_id from moved)
    on conflict (chat_id, created_at, seq) do update
    set has_file = excluded.has_file,
        has_places = excluded.has_places,
        terms = excluded.terms
)
select chat_id from moved
