-- How people come into groups, and who stays out. Written by the owner of the chat's partition, but
-- for making and revoking an invite: both lock the maker's membership, so that it still holds.

create table chat_invites (
    chat_id    uuid not null,
    -- 128 random bits, kept as they are: who may make invites may also read them.
    code       text not null,
    created_by uuid not null,
    created_at timestamptz not null,
    expires_at timestamptz,
    max_uses   int4,
    uses       int4 not null default 0,
    revoked_at timestamptz,
    constraint chat_invites_pkey primary key (chat_id, code),
    constraint chat_invites_code_key unique (code),
    constraint chat_invites_uses_bounded check (uses between 0 and coalesce(max_uses, uses))
);

create table chat_bans (
    chat_id    uuid not null,
    user_id    uuid not null,
    banned_by  uuid not null,
    created_at timestamptz not null,
    constraint chat_bans_pkey primary key (chat_id, user_id)
);
