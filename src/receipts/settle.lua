-- Notes that marks of a partition are stored, those that have not moved meanwhile. They are kept for
-- a while: who looked at Postgres before must not move them back.
--
-- KEYS   the marks, the moved, the stored; as in mark.lua
-- ARGV   for each mark: field, and the seq that was stored
-- reply  how many did not move
local clock = redis.call('TIME')
local now = string.format('%.0f', clock[1] * 1000 + math.floor(clock[2] / 1000))
local settled = 0
for i = 1, #ARGV, 2 do
  local mark = redis.call('HGET', KEYS[1], ARGV[i]) or ''
  if string.match(mark, '^%d+') == ARGV[i + 1] then
    redis.call('ZREM', KEYS[2], ARGV[i])
    redis.call('ZADD', KEYS[3], now, ARGV[i])
    settled = settled + 1
  else
    redis.call('ZADD', KEYS[2], 'XX', now, ARGV[i])
  end
end
return settled
