-- ARGV: job tenant lane order waited_ms delay_ms weight max_running
-- Adds a job to its tenant's line unless it is there or leased, and wakes one waiting worker.
local job, tenant, lane = ARGV[1], ARGV[2], ARGV[3]
local now = now_ms()
redis.call('HSET', tenant_key(tenant), 'weight', ARGV[7], 'max_running', ARGV[8])
local ends = redis.call('ZSCORE', LEASES, job)
if ends and tonumber(ends) <= now then drop_lease(job) end
if redis.call('EXISTS', job_key(job)) == 1 then
  place(tenant)
  return 0
end
local since, starts = now - tonumber(ARGV[5]), now + tonumber(ARGV[6])
redis.call('HSET', job_key(job), 'tenant', tenant, 'lane', lane, 'order', ARGV[4], 'since', since)
if starts > now then
  redis.call('ZADD', DELAYED, starts, job)
  place(tenant)
  return 1
end
into_line(job)
wake()
return 1
