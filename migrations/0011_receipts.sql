-- What people keep to themselves of reading and writing.

alter table users
    add column privacy_read_receipts boolean not null default true,
    add column privacy_typing        boolean not null default true;

-- A user's pinned chats; marking as read touches none of these columns.
create index chat_members_pinned on chat_members (user_id)
    where pinned_at is not null and left_seq is null;
