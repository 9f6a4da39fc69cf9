-- For telling, at a sign-in, whether the account knows the device or the address: the newest
-- sessions of a user, ended ones too.
create index sessions_by_user on sessions (user_id, id desc);
