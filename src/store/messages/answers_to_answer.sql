-- As an array, which is taken for short: else the planner may read the whole chat beside it.
where m.chat_id = $1
  and m.seq = any(array(
      select a.seq
      from message_answers a
      where a.chat_id = $1 and a.answered_seq = $2 and a.seq > $3
      order by a.seq
      limit $4
  ))
order by m.seq
