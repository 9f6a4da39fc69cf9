-- What people say to messages without a message.

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
