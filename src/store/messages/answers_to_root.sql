where m.chat_id = $1 and m.thread_root_id = $2 and m.seq > $3
order by m.seq
limit $4
