-- KEYS: sets of open requests   ARGV: lease_ms grant…, one for each key
-- Says of every open request that it is not lost.
local lease, now = tonumber(ARGV[1]), now_ms()
for i, open in ipairs(KEYS) do
  redis.call('ZADD', open, 'XX', now + lease, ARGV[i + 1])
  redis.call('PEXPIRE', open, lease)
end
return 1
