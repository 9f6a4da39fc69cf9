-- The marks of a partition that are to be stored, the longest moved first; forgets those that were
-- stored long ago.
--
-- KEYS   the marks, the moved, the stored; as in mark.lua
-- ARGV   how many, and for how long stored ones are kept, in ms
-- reply  since when the first one waits, in ms; then of each its field and its mark
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local most = tonumber(ARGV[1])
local until_ = string.format('%.0f', now - tonumber(ARGV[2]))
local old = redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', until_, 'LIMIT', 0, most)
if #old > 0 then
  redis.call('HDEL', KEYS[1], unpack(old))
  redis.call('ZREM', KEYS[3], unpack(old))
end
local first = redis.call('ZRANGE', KEYS[2], 0, 0, 'WITHSCORES')
local reply = { string.format('%.0f', first[2] and math.max(now - first[2], 0) or 0) }
for _, field in ipairs(redis.call('ZRANGE', KEYS[2], 0, most - 1)) do
  local mark = redis.call('HGET', KEYS[1], field)
  if mark then
    reply[#reply + 1] = field
    reply[#reply + 1] = mark
  else
    redis.call('ZREM', KEYS[2], field)
  end
end
return reply
