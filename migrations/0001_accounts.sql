-- People, their sessions, and what they did.
--
-- Constraint names are part of the interface: the store turns them into answers such as
-- `conflict: username`, so they are written out and never renamed.

create table users (
    id uuid constraint users_pkey primary key,
    -- Kept as typed; unique without regard to case, see the indexes below.
    username text not null
        constraint users_username_form check (username ~ '^[A-Za-z0-9_.-]{3,32}$'),
    email text not null
        constraint users_email_length check (char_length(email) between 3 and 254),
    display_name text not null
        constraint users_display_name_length check (char_length(display_name) between 1 and 64),
    bio text not null default ''
        constraint users_bio_length check (char_length(bio) <= 500),
    -- A PHC string: algorithm, parameters and salt stand in it.
    password_hash text not null,
    email_verified boolean not null default false,
    -- The badge, given by an operator.
    verified boolean not null default false,
    role text not null default 'user'
        constraint users_role_known check (role in ('user', 'admin')),
    -- Who sees `online` and `lastSeenAt`, who may open a direct chat, who may add to groups.
    privacy_last_seen text not null default 'everyone'
        constraint users_privacy_last_seen_known
        check (privacy_last_seen in ('everyone', 'contacts', 'nobody')),
    privacy_direct_messages text not null default 'everyone'
        constraint users_privacy_direct_messages_known
        check (privacy_direct_messages in ('everyone', 'contacts', 'nobody')),
    privacy_group_invites text not null default 'everyone'
        constraint users_privacy_group_invites_known
        check (privacy_group_invites in ('everyone', 'contacts', 'nobody')),
    -- Whether a search by others finds this user.
    discoverable boolean not null default true,
    suspended_at timestamptz,
    -- A deleted user stays as a row without personal data, so that messages keep an author.
    deleted_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);

-- `Ann` and `ann` are one name, and one address. Sign-in looks up by the same expressions.
create unique index users_username_key on users (lower(username));
create unique index users_email_key on users (lower(email));

-- One sign-in on one device. Access tokens name their session and die with it.
create table sessions (
    id uuid constraint sessions_pkey primary key,
    user_id uuid not null
        constraint sessions_user_id_fkey references users (id) on delete cascade,
    -- What the client said of itself; a hint for people, and for telling a retry from a theft.
    device_id text,
    device_name text,
    device_platform text,
    ip inet,
    user_agent text,
    created_at timestamptz not null default now(),
    last_seen_at timestamptz not null default now(),
    -- However often it is refreshed, a session ends here.
    expires_at timestamptz not null,
    ended_at timestamptz,
    end_reason text,
    -- An end has a reason, and a reason an end.
    constraint sessions_end_whole check ((ended_at is null) = (end_reason is null))
);

-- For the list of sessions (newest first) and for ending all of a user's.
create index sessions_live_by_user on sessions (user_id, id desc) where ended_at is null;

-- A session's refresh tokens, one after the other. Only hashes are kept: the token is 256 random
-- bits, so a plain SHA-256 cannot be searched. Whoever changes a row here holds its session's lock.
create table refresh_tokens (
    id uuid constraint refresh_tokens_pkey primary key,
    session_id uuid not null
        constraint refresh_tokens_session_id_fkey references sessions (id) on delete cascade,
    token_hash bytea not null
        constraint refresh_tokens_token_hash_length check (octet_length(token_hash) = 32),
    created_at timestamptz not null default now(),
    -- Not used by then, it is worth nothing: the idle end.
    expires_at timestamptz not null,
    used_at timestamptz,
    -- With the server's key and the used token itself this makes the successor once more, for a
    -- device that retries because the answer got lost. Alone it is worth nothing.
    successor_salt bytea,
    revoked_at timestamptz,
    constraint refresh_tokens_token_hash_key unique (token_hash),
    constraint refresh_tokens_use_whole check ((used_at is null) = (successor_salt is null))
);

create index refresh_tokens_by_session on refresh_tokens (session_id, id desc);

create table user_blocks (
    blocker_id uuid not null
        constraint user_blocks_blocker_id_fkey references users (id) on delete cascade,
    blocked_id uuid not null
        constraint user_blocks_blocked_id_fkey references users (id) on delete cascade,
    created_at timestamptz not null default now(),
    constraint user_blocks_pkey primary key (blocker_id, blocked_id),
    constraint user_blocks_not_oneself check (blocker_id <> blocked_id)
);

-- "Who blocks me?", for the checks in the other direction.
create index user_blocks_by_blocked on user_blocks (blocked_id, blocker_id);

-- Who did what to whom, when and from where. No foreign keys: it outlives what it speaks of.
create table audit_log (
    id uuid constraint audit_log_pkey primary key,
    at timestamptz not null default now(),
    -- Null where nobody was signed in.
    actor_id uuid,
    action text not null,
    -- The id of what was acted upon.
    subject text,
    detail jsonb not null default '{}',
    ip inet
);

create index audit_log_by_time on audit_log (at desc, id desc);
create index audit_log_by_actor on audit_log (actor_id, at desc);
