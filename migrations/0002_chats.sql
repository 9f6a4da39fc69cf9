-- Chats, their members, and the log's durable side. Every per-chat table leads its key with
-- chat_id, so that it can be distributed by it. Only the fenced owner of a chat's partition writes
-- chats, chat_members, messages, message_edits and chat_events: `last_seq` is read and written
-- without further locks on that ground.

-- What must be the same on every node of a cluster, such as the number of partitions.
create table cluster_settings (
    name  text not null,
    value text not null,
    constraint cluster_settings_pkey primary key (name)
);

-- The fence: who takes a partition over increments it, and a batch that names an older one
-- commits nothing. Small and updated often, hence the room in its pages.
create table partitions (
    id       int2 not null,
    fence    int8 not null default 0,
    owner    text,
    taken_at timestamptz,
    constraint partitions_pkey primary key (id)
) with (fillfactor = 10);

create table chats (
    id               uuid not null,
    kind             text not null,
    partition        int2 not null,
    title            text,
    description      text,
    created_by       uuid not null,
    -- The pair of a direct chat, the lower id first.
    direct_low       uuid,
    direct_high      uuid,
    -- The seq of the newest durable event, and how many of the events are messages.
    last_seq         int8 not null default 0,
    message_count    int8 not null default 0,
    member_count     int4 not null default 0,
    last_message_seq int8,
    last_activity_at timestamptz not null,
    -- The seq of the event that last changed the chat itself (not its messages or members).
    changed_seq      int8 not null default 0,
    created_at       timestamptz not null,
    updated_at       timestamptz not null,
    deleted_at       timestamptz,
    constraint chats_pkey primary key (id),
    constraint chats_kind_known check (kind in ('direct', 'group')),
    constraint chats_direct_has_pair check ((kind = 'direct') = (direct_low is not null and direct_high is not null))
) with (fillfactor = 50);

-- Which chat a pair talks in: claimed here first, so that two nodes that open it at once agree.
create table direct_chats (
    low     uuid not null,
    high    uuid not null,
    chat_id uuid not null,
    constraint direct_chats_pkey primary key (low, high),
    constraint direct_chats_ordered check (low < high)
);

create table chat_members (
    chat_id     uuid not null,
    user_id     uuid not null,
    role        text not null,
    joined_at   timestamptz not null,
    joined_seq  int8 not null,
    -- The seq of the event that last changed this row (joined, left, role).
    changed_seq int8 not null,
    -- Set while the user is not a member; the row stays, so that catching up can tell who left.
    left_seq    int8,
    -- Up to where the member has read, and how many messages that are.
    read_seq    int8 not null default 0,
    read_count  int8 not null default 0,
    read_at     timestamptz,
    pinned_at   timestamptz,
    muted_until timestamptz,
    constraint chat_members_pkey primary key (chat_id, user_id),
    constraint chat_members_role_known check (role in ('owner', 'admin', 'moderator', 'member'))
) with (fillfactor = 70);

create index chat_members_of_user on chat_members (user_id) where left_seq is null;
create index chat_members_changed on chat_members (chat_id, changed_seq);

create table messages (
    chat_id        uuid not null,
    seq            int8 not null,
    id             uuid not null,
    sender_id      uuid not null,
    -- Made by the client: sent again with the same one, the message exists once.
    client_id      uuid not null,
    -- Tells a repetition from a different message under a used client_id.
    content_hash   int8 not null,
    -- The message's number among the chat's messages: unread is a subtraction.
    ordinal        int8 not null,
    -- Null once deleted.
    body           text,
    reply_to_seq   int8,
    thread_root_id uuid,
    -- How far below its thread's root.
    depth          int2 not null default 0,
    -- Answers at any depth.
    reply_count    int4 not null default 0,
    mentions       uuid[],
    version        int4 not null default 1,
    -- The seq of the event that last changed this row; the message's own until it is changed.
    changed_seq    int8 not null,
    created_at     timestamptz not null,
    edited_at      timestamptz,
    deleted_at     timestamptz,
    constraint messages_pkey primary key (chat_id, seq),
    constraint messages_id_key unique (chat_id, id),
    constraint messages_client_id_key unique (chat_id, sender_id, client_id)
) with (fillfactor = 90);

-- Catching up reads new messages by the primary key and changed old ones by this: most messages
-- never change and so never enter it.
create index messages_changed on messages (chat_id, changed_seq) where changed_seq > seq;
create index messages_of_thread on messages (chat_id, thread_root_id, seq) where thread_root_id is not null;

-- What every other command did: for answering and publishing it again, never twice.
create table chat_events (
    chat_id    uuid not null,
    seq        int8 not null,
    command_id uuid not null,
    actor_id   uuid not null,
    kind       text not null,
    data       jsonb not null,
    created_at timestamptz not null,
    constraint chat_events_pkey primary key (chat_id, seq),
    constraint chat_events_command_key unique (chat_id, command_id)
);

-- The versions before the present one. Deleting a message deletes them.
create table message_edits (
    chat_id     uuid not null,
    message_seq int8 not null,
    version     int4 not null,
    body        text not null,
    edited_at   timestamptz not null,
    constraint message_edits_pkey primary key (chat_id, message_seq, version)
);
