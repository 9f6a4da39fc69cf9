-- Each node looks once a second for sessions that ended lately, so that their sockets are closed
-- also where nobody could tell it. Only ends are in the index, newest last.
create index sessions_by_end on sessions (ended_at) where ended_at is not null;
