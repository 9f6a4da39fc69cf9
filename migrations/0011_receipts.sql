-- What people keep to themselves of reading and writing, and how they find their chats again.

alter table users
    add column privacy_read_receipts boolean not null default true,
    add column privacy_typing        boolean not null default true;

-- A user's pinned chats; marking as read touches none of these columns.
create index chat_members_pinned on chat_members (user_id)
    where pinned_at is not null and left_seq is null;

-- What a search among one's own chats compares with: as in `users`, compatibility forms made one, in
-- lower case. Beside `chats`, whose rows are written anew with every message: these would be copied
-- each time. Direct chats have none.
create table chat_names (
    chat_id         uuid not null,
    title_key       text not null,
    description_key text not null,
    constraint chat_names_pkey primary key (chat_id)
);

insert into chat_names (chat_id, title_key, description_key)
select id,
       lower(normalize(coalesce(title, ''), nfkc)),
       lower(normalize(coalesce(description, ''), nfkc))
from chats
where kind = 'group' and deleted_at is null;
