-- Moves marks of one partition forward, never back, notes that they are to be stored, and tells of
-- those that moved: in one step, so that what is told of a mark never goes back either.
--
-- KEYS   the marks, a hash: chat/user -> "seq count at"; the moved and the stored, by time in ms
-- ARGV   the channel, then for each mark: field, seq (0 only asks), count, and the line that tells
-- reply  for each mark: 1 where it moved, else 0; and how it stands, '' where nothing is known
local clock = redis.call('TIME')
local now = string.format('%.0f', clock[1] * 1000 + math.floor(clock[2] / 1000))
local reply, told = {}, {}
for i = 2, #ARGV, 4 do
  local field, seq = ARGV[i], tonumber(ARGV[i + 1])
  local mark = redis.call('HGET', KEYS[1], field) or ''
  local moved = seq > tonumber(string.match(mark, '^%d+') or 0)
  if moved then
    mark = ARGV[i + 1] .. ' ' .. ARGV[i + 2] .. ' ' .. now
    redis.call('HSET', KEYS[1], field, mark)
    redis.call('ZADD', KEYS[2], 'NX', now, field)
    redis.call('ZREM', KEYS[3], field)
    told[#told + 1] = ARGV[i + 3]
  end
  reply[#reply + 1] = moved and '1' or '0'
  reply[#reply + 1] = mark
end
if #told > 0 then redis.call('PUBLISH', ARGV[1], table.concat(told, '\n')) end
return reply
