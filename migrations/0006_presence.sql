-- When somebody was last known to come or go. Beside `users` and narrow, since it is written with
-- every coming and going: a row of `users` is wide and stands in several indexes.

create table user_last_seen (
    user_id uuid not null,
    at      timestamptz not null,
    constraint user_last_seen_pkey primary key (user_id),
    constraint user_last_seen_user_id_fkey
        foreign key (user_id) references users (id) on delete cascade
) with (fillfactor = 70);
