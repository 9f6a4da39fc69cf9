-- Work that is done by the clock, and what operators look things up by.

-- A row for each job. The claim is what makes one runner of many nodes: it is renewed in the
-- transaction of every batch, so a runner that lost it can change nothing more.
create table jobs (
    name text constraint jobs_pkey primary key,
    -- The slot of the timetable up to which the work is done.
    last_due timestamptz,
    -- Of the last run, whatever it came to.
    last_started_at timestamptz,
    last_finished_at timestamptz,
    outcome text
        constraint jobs_outcome_known check (outcome in ('running', 'done', 'failed', 'stopped')),
    rows int8 not null default 0,
    node text,
    -- Names the run that holds the claim; nobody else begins before the claim has ended.
    run_id uuid,
    claimed_until timestamptz
);

-- What the daily and the weekly job delete.
create index refresh_tokens_by_expiry on refresh_tokens (expires_at);
create index refresh_tokens_by_revocation on refresh_tokens (revoked_at)
    where revoked_at is not null;

-- What the audit log is filtered by; actor and time have indexes already.
create index audit_log_by_subject on audit_log (subject, at desc, id desc);
create index audit_log_by_action on audit_log (action, at desc, id desc);

-- Operators look people up by how a name or an address begins.
create index users_username_beginning on users (lower(username) text_pattern_ops);
create index users_email_beginning on users (lower(email) text_pattern_ops);

-- They are few: the last one is not to be lost.
create index users_operators on users (id) where role = 'admin';
