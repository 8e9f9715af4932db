-- Drops leases that ran out; returns whose they were.
local MOST = 1000
local lost = redis.call('ZRANGEBYSCORE', LEASES, '-inf', now_ms(), 'LIMIT', 0, MOST)
for _, job in ipairs(lost) do drop_lease(job) end
return lost
