-- KEYS: waiting leases owners   ARGV: token lease_ms
-- Moves the first job of the line under a lease and returns its id, or nil.
local first = redis.call('ZRANGE', KEYS[1], 0, 0)[1]
if not first then return nil end
local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZREM', KEYS[1], first)
redis.call('ZADD', KEYS[2], now_ms + ARGV[2], first)
redis.call('HSET', KEYS[3], first, ARGV[1])
return first
