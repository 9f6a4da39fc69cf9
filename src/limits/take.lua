-- Counts for several subjects at once, each by the generic cell rate algorithm: what is stored of a
-- quota is the time at which it will be whole again, in microseconds.
--
-- KEYS   one a subject; all of one slot
-- ARGV   for each key: owed, wanted, number of quotas, then of each quota interval and period in us
-- reply  for each key: granted, then of each quota what is left and the ms until one more comes
--
-- `owed` was used already and is counted whatever is left; below zero it is given back. Of `wanted`
-- as much is granted as all quotas have.
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local reply, at = {}, 1
for _, key in ipairs(KEYS) do
  local owed, wanted, count = tonumber(ARGV[at]), tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
  local stored = redis.call('GET', key) or ''
  local whole, granted, latest, texts = {}, wanted, now, {}
  for word in string.gmatch(stored, '%d+') do whole[#whole + 1] = tonumber(word) end
  for q = 1, count do
    local interval, period = tonumber(ARGV[at + 1 + 2 * q]), tonumber(ARGV[at + 2 + 2 * q])
    -- Not beyond two periods: the clock may have been set back, or the setting changed.
    local base = math.min(math.max(whole[q] or now, now), now + 2 * period)
    whole[q] = math.max(base + owed * interval, now)
    granted = math.min(granted, math.floor((now + period - whole[q]) / interval))
  end
  granted = math.max(granted, 0)
  reply[#reply + 1] = granted
  for q = 1, count do
    local interval, period = tonumber(ARGV[at + 1 + 2 * q]), tonumber(ARGV[at + 2 + 2 * q])
    whole[q] = whole[q] + granted * interval
    local left = math.max(math.floor((now + period - whole[q]) / interval), 0)
    reply[#reply + 1] = left
    reply[#reply + 1] = math.ceil((whole[q] + (left + 1) * interval - period - now) / 1000)
    latest = math.max(latest, whole[q])
    texts[q] = string.format('%.0f', whole[q])
  end
  if latest > now then
    redis.call('SET', key, table.concat(texts, ' '), 'PX', math.ceil((latest - now) / 1000))
  elseif stored ~= '' then
    redis.call('DEL', key)
  end
  at = at + 3 + 2 * count
end
return reply
