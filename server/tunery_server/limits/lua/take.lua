-- KEYS: bucket open, for each subject
-- ARGV: grant lease_ms tokens, then requests_per_minute tokens_per_minute concurrent_requests
-- for each subject
-- Returns the limit that stands against the request (or ''), the wait in ms (-1: none will do),
-- then for each subject: requests left, their reset in ms, tokens left, their reset in ms.
local grant, lease, tokens = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local now = now_ms()
local refused, wait = '', 0

local function refuse(limit, ms)
  if wait >= 0 and (refused == '' or ms < 0 or ms > wait) then refused, wait = limit, ms end
end

local levels = {}
for i = 1, #KEYS / 2 do
  local bucket, open = KEYS[2 * i - 1], KEYS[2 * i]
  local rpm, tpm, concurrent = tonumber(ARGV[3 * i + 1]), tonumber(ARGV[3 * i + 2]), tonumber(ARGV[3 * i + 3])
  local level = {
    rpm = rpm, tpm = tpm,
    requests = used(bucket, 'requests', rpm, now), tokens = used(bucket, 'tokens', tpm, now),
  }
  levels[i] = level
  if rpm > 0 and level.requests + 1 > rpm then
    refuse('requests_per_minute', reset_ms(level.requests + 1 - rpm, rpm))
  end
  if tpm > 0 and tokens > tpm then
    refuse('tokens_per_minute', -1)
  elseif tpm > 0 and level.tokens + tokens > tpm then
    refuse('tokens_per_minute', reset_ms(level.tokens + tokens - tpm, tpm))
  end
  if concurrent > 0 then
    redis.call('ZREMRANGEBYSCORE', open, '-inf', now)
    redis.call('ZREMRANGEBYSCORE', open, '(' .. now + lease, '+inf')
    if redis.call('ZCARD', open) >= concurrent then refuse('concurrent_requests', 0) end
  end
end

local answer = {refused, wait}
for i, level in ipairs(levels) do
  if refused == '' then
    level.requests = level.requests + 1
    level.tokens = level.tokens + tokens
    store(KEYS[2 * i - 1], level.requests, level.rpm, level.tokens, level.tpm, now)
    redis.call('ZADD', KEYS[2 * i], now + lease, grant)
    redis.call('PEXPIRE', KEYS[2 * i], lease)
  end
  table.insert(answer, math.max(0, math.floor(level.rpm - level.requests)))
  table.insert(answer, reset_ms(level.requests, level.rpm))
  table.insert(answer, math.max(0, math.floor(level.tpm - level.tokens)))
  table.insert(answer, reset_ms(level.tokens, level.tpm))
end
return answer
