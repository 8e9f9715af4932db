-- ARGV: jobs
-- Returns those that neither wait nor are leased.
local found = {}
for _, job in ipairs(ARGV) do
  if redis.call('EXISTS', job_key(job)) == 0 then found[#found + 1] = job end
end
return found
