-- KEYS: leases owners
-- Drops expired leases and returns the jobs under the others.
local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
for _, job in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now_ms)) do
  redis.call('ZREM', KEYS[1], job)
  redis.call('HDEL', KEYS[2], job)
end
return redis.call('ZRANGE', KEYS[1], 0, -1)
