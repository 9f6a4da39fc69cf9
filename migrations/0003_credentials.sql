-- What is sent to a user's address to prove that it is theirs: the right to set a new password, or
-- to call the address verified.

-- A user has at most one token for a purpose: a new one takes the place of the older, and using one
-- removes it. So the table is never larger than twice the users. Only hashes are kept: the token is
-- 256 random bits, so a plain SHA-256 cannot be searched.
create table one_time_tokens (
    user_id uuid not null
        constraint one_time_tokens_user_id_fkey references users (id) on delete cascade,
    purpose text not null
        constraint one_time_tokens_purpose_known
        check (purpose in ('passwordReset', 'emailVerification')),
    token_hash bytea not null
        constraint one_time_tokens_token_hash_length check (octet_length(token_hash) = 32),
    -- Where it was sent. It is worth nothing once the user has another address.
    email text not null,
    created_at timestamptz not null default now(),
    expires_at timestamptz not null,
    constraint one_time_tokens_pkey primary key (user_id, purpose),
    constraint one_time_tokens_token_hash_key unique (token_hash)
);

-- For removing those that nobody used.
create index one_time_tokens_by_expiry on one_time_tokens (expires_at);
