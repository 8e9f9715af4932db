-- ARGV: job token lease_ms tenant lane
-- Prolongs a lease. An owner that Redis forgot is restored; another owner is left alone.
runs_without_room()
local job, token, tenant, lane = ARGV[1], ARGV[2], ARGV[4], ARGV[5]
local now = now_ms()
local owner = redis.call('HGET', job_key(job), 'token')
if owner and owner ~= token then return 0 end
if not owner then
  out_of_line(job, lane, tenant)
  redis.call('HSET', job_key(job), 'tenant', tenant, 'lane', lane, 'token', token,
    'claimed', now, 'cost', 0)
end
-- Also one that was counted as gone: the job that was to come in its place may not have come.
redis.call('SADD', running_key(tenant), job)
redis.call('ZADD', LEASES, now + tonumber(ARGV[3]), job)
charge(job, now)
place(tenant)
return 1
