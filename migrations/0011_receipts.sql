-- What people keep to themselves of reading and writing.

alter table users
    add column privacy_read_receipts boolean not null default true,
    add column privacy_typing        boolean not null default true;

