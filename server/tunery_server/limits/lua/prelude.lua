-- Every subject has two keys: a hash with what is used of its buckets (requests, tokens, at), and a
-- sorted set of its open requests by the time when each counts as lost.
-- A bucket holds a minute's worth and drains at limit/60 s; what is used shrinks with time.
local WINDOW_MS = 60000

local function now_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

local function used(bucket, field, limit, now)
  if limit == 0 then return 0 end
  local at = tonumber(redis.call('HGET', bucket, 'at')) or now
  -- A clock that was set back must not stop a bucket from draining.
  local elapsed = math.max(0, now - at)
  local level = tonumber(redis.call('HGET', bucket, field)) or 0
  return math.max(0, level - elapsed * limit / WINDOW_MS)
end

local function reset_ms(level, limit)
  if limit == 0 then return 0 end
  return math.ceil(level * WINDOW_MS / limit)
end

local function store(bucket, requests, rpm, tokens, tpm, now)
  redis.call('HSET', bucket, 'requests', string.format('%.6f', requests),
    'tokens', string.format('%.6f', tokens), 'at', now)
  redis.call('PEXPIRE', bucket, math.max(1, reset_ms(requests, rpm), reset_ms(tokens, tpm)))
end
