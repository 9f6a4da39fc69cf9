-- Notes that a node counts here, and says how many do.
--
-- KEYS   a sorted set of nodes by the second at which they are forgotten
-- ARGV   the node's name, and for how many seconds it is remembered
-- reply  how many nodes there are
local now = tonumber(redis.call('TIME')[1])
redis.call('ZADD', KEYS[1], now + tonumber(ARGV[2]), ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
return redis.call('ZCARD', KEYS[1])
