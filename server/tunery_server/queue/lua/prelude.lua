-- Put before every other script here.
--
-- KEYS[1] is a prefix with a hash tag. Every key begins with it, so that one node of a cluster has
-- them all, and the scripts may name keys that they were not given.
--
--   job:<job>              hash: tenant, lane, order, since; under a lease also token, claimed, cost
--   line:<lane>:<tenant>   waiting jobs by order: priority, then age
--   age:<lane>:<tenant>    the same jobs by since when they wait
--   lanes:<tenant>         the lanes in which a tenant has waiting jobs
--   running:<tenant>       the tenant's jobs under a lease
--   tenant:<tenant>        hash: weight, max_running, time, placed
--   ready:<lane>           tenants whose turn may come, by their virtual time
--   lanes                  lanes with such tenants, by memory
--   delayed                jobs that must not start yet, by when they may
--   leases                 jobs under a lease, by when it ends
--   clock                  the virtual time at which a job was last claimed
--   machines               memory of whole devices, by when one was last heard of
--   wake                   one element for each reason to look again
--
-- A lane is "<devices>:<bytes>": jobs of like needs. A claim looks at the first tenant of each lane
-- that fits, never at all tenants.
local P = KEYS[1]
local LANES, DELAYED, LEASES = P .. ':lanes', P .. ':delayed', P .. ':leases'
local CLOCK, MACHINES, WAKE = P .. ':clock', P .. ':machines', P .. ':wake'

local LEAST_COST_S = 10          -- what any start costs: a model is loaded
local ARRIVAL_S = 1e-6           -- between tenants that begin to wait at one virtual time
local IDLE_S = 86400             -- how long what an idle tenant owes is remembered
local MOST_LANES = 512
local MOST_WAKES = 64

-- A server without room refuses the first write of a script if it is one that may take room, and lets
-- a script that has written go on. What has to run even then, or makes room in the end, begins so.
local function runs_without_room() redis.call('DEL', P .. ':none') end

local function exact(number) return string.format('%.17g', number) end

local function now_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

local function job_key(job) return P .. ':job:' .. job end
local function tenant_key(tenant) return P .. ':tenant:' .. tenant end
local function line_key(lane, tenant) return P .. ':line:' .. lane .. ':' .. tenant end
local function age_key(lane, tenant) return P .. ':age:' .. lane .. ':' .. tenant end
local function lanes_key(tenant) return P .. ':lanes:' .. tenant end
local function running_key(tenant) return P .. ':running:' .. tenant end
local function ready_key(lane) return P .. ':ready:' .. lane end

local function needs(lane)
  local devices, bytes = string.match(lane, '^(%d+):(%d+)$')
  return tonumber(devices), tonumber(bytes)
end

local function fits(lane, offer)
  local devices, bytes = needs(lane)
  return devices <= offer.devices and bytes <= offer.bytes
end

local function wake()
  redis.call('LPUSH', WAKE, '1')
  redis.call('LTRIM', WAKE, 0, MOST_WAKES - 1)
end

-- A tenant that begins to wait does so at the present virtual time: time that it did not use is
-- not saved up.
local function arrive(tenant, time)
  local present = tonumber(redis.call('GET', CLOCK) or '0') + ARRIVAL_S
  redis.call('SET', CLOCK, exact(present))
  time = math.max(time, present)
  redis.call('HSET', tenant_key(tenant), 'time', exact(time), 'placed', '1')
  return time
end

local function may_run(tenant, max_running)
  local limit = tonumber(max_running or '') or -1
  return limit < 0 or redis.call('SCARD', running_key(tenant)) < limit
end

local function waiting_lanes(tenant)
  local found = {}
  for _, lane in ipairs(redis.call('SMEMBERS', lanes_key(tenant))) do
    if redis.call('EXISTS', line_key(lane, tenant)) == 1 then
      found[#found + 1] = lane
    else
      redis.call('SREM', lanes_key(tenant), lane)
      redis.call('ZREM', ready_key(lane), tenant)
    end
  end
  return found
end

-- Puts a tenant where its jobs, its limit and its virtual time say. To be called after any of them
-- changed. Returns whether its turn may come.
local function place(tenant)
  local key = tenant_key(tenant)
  local state = redis.call('HMGET', key, 'max_running', 'time', 'placed')
  local lanes = waiting_lanes(tenant)
  local ready = #lanes > 0 and may_run(tenant, state[1])
  if ready then
    local time = tonumber(state[2] or '0')
    if state[3] ~= '1' then time = arrive(tenant, time) end
    for _, lane in ipairs(lanes) do
      local _, bytes = needs(lane)
      redis.call('ZADD', ready_key(lane), exact(time), tenant)
      redis.call('ZADD', LANES, bytes, lane)
    end
    redis.call('PERSIST', key)
  else
    for _, lane in ipairs(lanes) do redis.call('ZREM', ready_key(lane), tenant) end
    if redis.call('EXISTS', key) == 1 then
      redis.call('HSET', key, 'placed', '0')
      redis.call('EXPIRE', key, IDLE_S)
    end
  end
  return ready
end

local function into_line(job)
  local state = redis.call('HMGET', job_key(job), 'tenant', 'lane', 'order', 'since')
  local tenant, lane = state[1], state[2]
  if not tenant then return end
  redis.call('ZADD', line_key(lane, tenant), state[3], job)
  redis.call('ZADD', age_key(lane, tenant), state[4], job)
  redis.call('SADD', lanes_key(tenant), lane)
  place(tenant)
end

local function out_of_line(job, lane, tenant)
  redis.call('ZREM', line_key(lane, tenant), job)
  redis.call('ZREM', age_key(lane, tenant), job)
  redis.call('ZREM', DELAYED, job)
end

-- Adds what a job has cost since it was last asked, in seconds of a device over the tenant's weight.
local function charge(job, now)
  local state = redis.call('HMGET', job_key(job), 'tenant', 'lane', 'claimed', 'cost')
  local devices = needs(state[2])
  local cost = (now - tonumber(state[3])) / 1000 * devices
  local due = cost - tonumber(state[4])
  if due <= 0 then return end
  local tenant = redis.call('HMGET', tenant_key(state[1]), 'weight', 'time')
  local time = tonumber(tenant[2] or '0') + due / tonumber(tenant[1] or '1')
  redis.call('HSET', tenant_key(state[1]), 'time', exact(time))
  redis.call('HSET', job_key(job), 'cost', exact(cost))
end

local function drop_lease(job)
  local tenant = redis.call('HGET', job_key(job), 'tenant')
  redis.call('ZREM', LEASES, job)
  redis.call('DEL', job_key(job))
  if tenant then
    redis.call('SREM', running_key(tenant), job)
    if place(tenant) then wake() end
  end
end
