select m.chat_id, m.seq, m.id, m.sender_id, m.client_id, m.body, m.thread_root_id,
       m.reply_count, m.mentions, m.reactions, m.created_at, m.edited_at, m.deleted_at,
       m.changed_seq, p.id as parent_id, p.seq as parent_seq, p.sender_id as parent_sender_id,
       left(p.body, 140) as parent_excerpt
from messages m
left join messages p on p.chat_id = m.chat_id and p.seq = m.reply_to_seq
