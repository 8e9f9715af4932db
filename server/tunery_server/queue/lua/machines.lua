-- ARGV: kept_ms
-- Returns the memory, in bytes, of the devices whose worker asked for a job of late.
redis.call('ZREMRANGEBYSCORE', MACHINES, '-inf', now_ms() - tonumber(ARGV[1]))
return redis.call('ZRANGE', MACHINES, 0, -1)
