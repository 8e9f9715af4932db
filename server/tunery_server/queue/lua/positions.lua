-- ARGV: jobs
-- Returns each one's place among its tenant's waiting jobs, from 1; 0 for one that is not in line.
local function ahead(job, tenant, lane, order)
  local rank = redis.call('ZRANK', line_key(lane, tenant), job)
  if not rank then return nil end
  for _, other in ipairs(redis.call('SMEMBERS', lanes_key(tenant))) do
    if other ~= lane then
      rank = rank + redis.call('ZCOUNT', line_key(other, tenant), '-inf', '(' .. order)
    end
  end
  return rank
end

local places = {}
for _, job in ipairs(ARGV) do
  local state = redis.call('HMGET', job_key(job), 'tenant', 'lane', 'order')
  local rank = state[1] and state[3] and ahead(job, state[1], state[2], state[3])
  places[#places + 1] = rank and rank + 1 or 0
end
return places
