-- Decides, numbers and stores a batch of drafts; see sends.rs.
-- $1, $2: the terms (partition, fence). $3 to $11: the drafts, in order.
with held as (
    select p.id
    from unnest($1::int2[], $2::int8[]) term (id, fence)
    join partitions p on p.id = term.id and p.fence = term.fence
    for share of p
),
decided as materialized (
    select i.*, v.verdict, c.last_seq, c.message_count,
           d.seq as again_seq, d.id as again_id, d.created_at as again_at,
           r.seq as parent_seq, r.id as parent_id, r.sender_id as parent_sender_id,
           left(r.body, 140) as parent_excerpt,
           coalesce(r.thread_root_id, r.id) as thread_root_id, r.depth as parent_depth,
           row_number() over (partition by i.chat_id, v.verdict = 0 order by i.ord) as nth
    from unnest($3::int2[], $4::uuid[], $5::uuid[], $6::uuid[], $7::uuid[], $8::int8[],
                $9::text[], $10::uuid[], $11::text[]) with ordinality
         i (partition, chat_id, sender_id, client_id, message_id, content_hash,
            body, parent, mentions, ord)
    left join lateral (
        select c.id, c.kind, c.last_seq, c.message_count, c.direct_low, c.direct_high
        from chats c
        where c.id = i.chat_id and c.deleted_at is null
        limit 1
    ) c on true
    left join lateral (
        select m.left_seq is null as is_present
        from chat_members m
        where m.chat_id = i.chat_id and m.user_id = i.sender_id
        limit 1
    ) m on true
    left join lateral (
        select d.seq, d.id, d.content_hash, d.created_at
        from messages d
        where d.chat_id = i.chat_id and d.sender_id = i.sender_id
          and d.client_id = i.client_id
        limit 1
    ) d on true
    left join lateral (
        select r.seq, r.id, r.sender_id, r.body, r.thread_root_id, r.depth
        from messages r
        where r.chat_id = i.chat_id and r.id = i.parent
        limit 1
    ) r on i.parent is not null
    cross join lateral (
        select case
            when d.seq is not null and d.content_hash = i.content_hash then 1
            when d.seq is not null then 2
            when c.id is null or m.is_present is not true then 3
            -- Closed by a block, either way, or by the other one's privacy: the answer is one.
            when c.kind = 'direct' and (exists (
                select from user_blocks b
                where (b.blocker_id = c.direct_low and b.blocked_id = c.direct_high)
                   or (b.blocker_id = c.direct_high and b.blocked_id = c.direct_low)
            ) or exists (
                select from users u
                where u.id = case when c.direct_low = i.sender_id
                                  then c.direct_high else c.direct_low end
                  and u.privacy_direct_messages = 'nobody'
            )) then 4
            when i.parent is not null and r.seq is null then 5
            when r.depth >= 500 then 6
            else 0
        end as verdict
    ) v
    where i.partition in (select id from held)
),
added as (
    insert into messages (chat_id, seq, id, sender_id, client_id, content_hash, ordinal,
                          body, reply_to_seq, thread_root_id, depth, mentions,
                          changed_seq, created_at)
    select chat_id, last_seq + nth, message_id, sender_id, client_id, content_hash,
           message_count + nth, body, parent_seq, thread_root_id,
           coalesce(parent_depth + 1, 0), mentions::uuid[], last_seq + nth,
           date_trunc('milliseconds', now())
    from decided
    where verdict = 0
),
advanced as (
    update chats c
    set last_seq = n.seq,
        message_count = c.message_count + n.n,
        last_message_seq = n.seq,
        last_activity_at = date_trunc('milliseconds', now())
    from (
        select chat_id, max(last_seq + nth) as seq, count(*) as n
        from decided
        where verdict = 0
        group by chat_id
    ) n
    where c.id = n.chat_id
),
read_by_senders as (
    update chat_members m
    set read_seq = n.seq,
        read_count = n.ordinal,
        read_at = date_trunc('milliseconds', now())
    from (
        select chat_id, sender_id, max(last_seq + nth) as seq,
               max(message_count + nth) as ordinal
        from decided
        where verdict = 0
        group by chat_id, sender_id
    ) n
    where m.chat_id = n.chat_id and m.user_id = n.sender_id
)
select ord, verdict,
       coalesce(again_seq, last_seq + nth, 0) as seq,
       coalesce(again_id, message_id) as id,
       coalesce(again_at, date_trunc('milliseconds', now())) as created_at,
       parent_id, parent_seq, parent_sender_id, parent_excerpt, thread_root_id
from decided
