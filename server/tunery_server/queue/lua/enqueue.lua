-- KEYS: waiting leases wake   ARGV: job score
-- Adds a job to the line unless it is there or leased, and wakes one waiting worker.
if redis.call('ZSCORE', KEYS[2], ARGV[1]) then return 0 end
if redis.call('ZADD', KEYS[1], 'NX', ARGV[2], ARGV[1]) == 1 then
  redis.call('LPUSH', KEYS[3], '1')
  redis.call('LTRIM', KEYS[3], 0, 255)
  return 1
end
return 0
