-- Finding messages. Filled behind the writers' backs by a follower of what they commit, and all of it
-- can be made anew from `messages`.

-- A row for each message that can be found. In `terms` every word stands behind a short name of its
-- chat, so the index has a list for each word of each chat: what a search reads is what it finds in the
-- reader's own chats, however common the word is elsewhere.
create table message_search (
    chat_id    uuid not null,
    created_at timestamptz not null,
    seq        int8 not null,
    sender_id  uuid not null,
    has_file   boolean not null,
    -- Whether `terms` has the place of every word; of very long texts it has only the words.
    has_places boolean not null,
    terms      tsvector not null,
    -- In this order a chat is read backwards in time.
    constraint message_search_pkey primary key (chat_id, created_at, seq)
);

-- Entries are gathered and then put in order together, which costs half. As every search reads what
-- is still being gathered, that is kept small: some 200 messages.
create index message_search_terms on message_search using gin (terms)
    with (fastupdate = on, gin_pending_list_limit = 64);

-- Up to which seq of a chat the table above tells the truth. Beside `chats`, whose rows the writer
-- has to itself, and updated in place.
create table search_progress (
    chat_id uuid not null,
    seq     int8 not null,
    constraint search_progress_pkey primary key (chat_id)
) with (fillfactor = 50);

-- A new owner of a partition looks through its chats for those that are behind. An index on `last_seq`
-- would answer that at once, and make every message write to it; what is here never changes.
create index chats_of_partition on chats (partition, id);
