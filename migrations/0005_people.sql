-- Finding people, and who is closed to whom.

-- For searches that forgive a slip of the finger. Trusted since Postgres 13: whoever may create in
-- the database may install it.
create extension if not exists pg_trgm;

-- What a search compares with: compatibility forms made one (a full-width letter is a letter), in
-- lower case. Display names can be in any script; one that grows by this is cut, so that it fits
-- into an index.
alter table users
    add column name_key text collate "C"
        generated always as (left(lower(normalize(display_name, nfkc)), 64)) stored,
    add column search_key text
        generated always as (
            lower(username) || ' ' || left(lower(normalize(display_name, nfkc)), 64)
        ) stored;

-- Whoever does not want to be found is not even in the indexes. The "C" collation makes a prefix a
-- range, whatever the database's own.
create index users_found_by_username on users ((lower(username) collate "C"))
    where discoverable and suspended_at is null and deleted_at is null;
create index users_found_by_name on users (name_key, id)
    where discoverable and suspended_at is null and deleted_at is null;
create index users_found_by_likeness on users using gin (search_key gin_trgm_ops)
    where discoverable and suspended_at is null and deleted_at is null;

-- The list of blocks, the newest first.
create index user_blocks_newest on user_blocks (blocker_id, created_at desc, blocked_id desc);

-- "With whom do I share a direct chat?", for the higher id of a pair; the key serves the lower.
create index direct_chats_by_high on direct_chats (high, low);

-- When a user's blocks or privacy last changed. Every node looks here each second, so that open
-- sockets follow also where the news over Redis was missed.
create table visibility_changes (
    user_id    uuid
        constraint visibility_changes_user_id_fkey references users (id) on delete cascade,
    changed_at timestamptz not null,
    constraint visibility_changes_pkey primary key (user_id)
);

create index visibility_changes_by_time on visibility_changes (changed_at);
