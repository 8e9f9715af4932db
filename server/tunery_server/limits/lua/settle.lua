-- KEYS: bucket open, for each subject
-- ARGV: grant tokens_beyond_the_reservation, then requests_per_minute tokens_per_minute
-- concurrent_requests for each subject
-- A grant that is no longer open was settled before, or is lost: its reservation stands.
local grant, beyond = ARGV[1], tonumber(ARGV[2])
local now = now_ms()
for i = 1, #KEYS / 2 do
  local bucket, open = KEYS[2 * i - 1], KEYS[2 * i]
  local rpm, tpm = tonumber(ARGV[3 * i]), tonumber(ARGV[3 * i + 1])
  if redis.call('ZREM', open, grant) == 1 and beyond ~= 0 and tpm > 0 then
    local tokens = math.max(0, used(bucket, 'tokens', tpm, now) + beyond)
    store(bucket, used(bucket, 'requests', rpm, now), rpm, tokens, tpm, now)
  end
end
return 1
