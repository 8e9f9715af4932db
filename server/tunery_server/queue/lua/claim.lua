-- ARGV: token lease_ms free_bytes free_devices whole_bytes whole_devices machine_bytes patience_ms
--       [yielding_job above_order]
-- Moves the next job that fits under a lease; returns it with its tenant and its lane, or nil.
-- With a job that would yield: counts it as gone, and takes only what comes before it by priority.
runs_without_room()
local token, lease_ms, patience_ms = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[8])
local free = { bytes = tonumber(ARGV[3]), devices = tonumber(ARGV[4]) }
local whole = { bytes = tonumber(ARGV[5]), devices = tonumber(ARGV[6]) }
local yielding, above = ARGV[9], tonumber(ARGV[10] or '')
local MOST_DUE = 64
local now = now_ms()

local function admit_delayed()
  for _, job in ipairs(redis.call('ZRANGEBYSCORE', DELAYED, '-inf', now, 'LIMIT', 0, MOST_DUE)) do
    redis.call('ZREM', DELAYED, job)
    into_line(job)
  end
end

-- The tenant with the least virtual time among those with a job that fits.
local function first(offer)
  local tenant, least
  local lanes = redis.call('ZRANGEBYSCORE', LANES, '-inf', offer.bytes, 'LIMIT', 0, MOST_LANES)
  for _, lane in ipairs(lanes) do
    local head = redis.call('ZRANGE', ready_key(lane), 0, 0, 'WITHSCORES')
    if not head[1] then
      redis.call('ZREM', LANES, lane)
    elseif fits(lane, offer) and (not least or tonumber(head[2]) < least) then
      tenant, least = head[1], tonumber(head[2])
    end
  end
  return tenant
end

-- A tenant's job with the least score in lines of one kind.
local function least(key_of, tenant, offer)
  local job, score, lane
  for _, each in ipairs(redis.call('SMEMBERS', lanes_key(tenant))) do
    local head = fits(each, offer)
      and redis.call('ZRANGE', key_of(each, tenant), 0, 0, 'WITHSCORES') or {}
    local its = tonumber(head[2] or '')
    if its and (not score or its < score or (its == score and head[1] < job)) then
      job, score, lane = head[1], its, each
    end
  end
  return job, score, lane
end

-- A tenant's next job, and whether it has waited for so long that its priority counts no more.
local function choice(tenant, offer)
  local oldest, since, lane = least(age_key, tenant, offer)
  if since and since + patience_ms <= now then return oldest, lane, true end
  local best, _, best_lane = least(line_key, tenant, offer)
  return best, best_lane, false
end

-- A job that waited for too long and fits an empty machine keeps a busy one from filling up again.
local function next_job()
  local tenant = first(whole)
  if not tenant then return nil end
  local job, lane, late = choice(tenant, whole)
  if fits(lane, free) then return job, lane, tenant end
  if late then return nil end
  tenant = first(free)
  if not tenant then return nil end
  job, lane = choice(tenant, free)
  return job, lane, tenant
end

local function take(job, lane, tenant)
  local devices = needs(lane)
  local cost = LEAST_COST_S * devices
  local state = redis.call('HMGET', tenant_key(tenant), 'weight', 'time')
  local started = tonumber(state[2] or '0')
  local present = math.max(tonumber(redis.call('GET', CLOCK) or '0'), started)
  redis.call('SET', CLOCK, exact(present))
  local time = math.max(started, present) + cost / tonumber(state[1] or '1')
  redis.call('HSET', tenant_key(tenant), 'time', exact(time))
  out_of_line(job, lane, tenant)
  redis.call('HSET', job_key(job), 'token', token, 'claimed', now, 'cost', cost)
  redis.call('SADD', running_key(tenant), job)
  redis.call('ZADD', LEASES, now + lease_ms, job)
  place(tenant)
  return { job, tenant, lane }
end

local owner = yielding and redis.call('HGET', job_key(yielding), 'tenant')
if owner and redis.call('SREM', running_key(owner), yielding) == 1 then place(owner) else owner = nil end
admit_delayed()
if ARGV[7] ~= '0' then redis.call('ZADD', MACHINES, now, ARGV[7]) end
local job, lane, tenant = next_job()
if job and above and tonumber(redis.call('HGET', job_key(job), 'order')) >= above then job = nil end
if job then return take(job, lane, tenant) end
if owner then
  redis.call('SADD', running_key(owner), yielding)
  place(owner)
end
return nil
