-- What people say to messages without a message; and which messages answer which.

-- The counts stand in the message's own row, which every reaction touches anyway since it changes
-- the message: a page of history reads them without another look-up. An array of
-- {"emoji", "count"}, the emoji that came first first; null without any.
alter table messages add column reactions jsonb;

-- Who reacted with what. Written by the owner of the chat's partition alone, like the counts. The
-- key is in the order of "what of this did the reader say?", which is asked for every page with
-- reactions in it.
create table message_reactions (
    chat_id     uuid not null,
    user_id     uuid not null,
    message_seq int8 not null,
    -- Fully qualified, so that one emoji has one form.
    emoji       text collate "C" not null,
    -- The seq of the event that added it.
    seq         int8 not null,
    created_at  timestamptz not null,
    constraint message_reactions_pkey primary key (chat_id, user_id, message_seq, emoji),
    constraint message_reactions_emoji_short check (octet_length(emoji) between 1 and 64)
);

-- Who reacted to a message, the first first; and what goes with a message that is deleted.
create unique index message_reactions_of_message on message_reactions (chat_id, message_seq, seq);

-- Which messages answer which, at any depth, where the answered one is an answer itself: what answers
-- the first message of a thread is found by thread_root_id. So a plain answer has no row here, and
-- one that is `depth` deep has `depth - 1`. With it a part of any thread is one range of an index.
create table message_answers (
    chat_id      uuid not null,
    answered_seq int8 not null,
    seq          int8 not null,
    constraint message_answers_pkey primary key (chat_id, answered_seq, seq)
);

insert into message_answers (chat_id, answered_seq, seq)
with recursive above as (
    select m.chat_id, m.seq, p.seq as answered_seq, p.reply_to_seq
    from messages m
    join messages p on p.chat_id = m.chat_id and p.seq = m.reply_to_seq
    where m.depth > 1
    union all
    select a.chat_id, a.seq, p.seq, p.reply_to_seq
    from above a
    join messages p on p.chat_id = a.chat_id and p.seq = a.reply_to_seq
)
select chat_id, answered_seq, seq
from above
where reply_to_seq is not null;
