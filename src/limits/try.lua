-- Lets one more try pass, or says how long to wait. A try counts as failed from its beginning, so
-- that many at once are no way around the delay; what succeeds deletes the key.
--
-- KEYS   the counter: "tries until", the latter in ms
-- ARGV   tries without a delay, the first delay, the longest, and how long tries are remembered; ms
-- reply  0, or the ms to wait
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local free, first, longest = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local tries, pause = string.match(redis.call('GET', KEYS[1]) or '0 0', '(%d+) (%d+)')
tries, pause = tonumber(tries), tonumber(pause)
-- A clock that was set back must not make a delay longer than the longest.
pause = math.min(pause, now + longest)
if pause > now then return pause - now end
tries = math.min(tries + 1, free + 40)
pause = 0
if tries >= free then pause = now + math.min(first * 2 ^ (tries - free), longest) end
redis.call('SET', KEYS[1], string.format('%.0f %.0f', tries, pause), 'PX', ARGV[4])
return 0
