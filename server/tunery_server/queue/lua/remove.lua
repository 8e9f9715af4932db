-- ARGV: job
-- Takes a waiting job out of the line; does nothing to a leased one.
local state = redis.call('HMGET', job_key(ARGV[1]), 'tenant', 'lane', 'token')
if not state[1] or state[3] then return 0 end
out_of_line(ARGV[1], state[2], state[1])
redis.call('DEL', job_key(ARGV[1]))
place(state[1])
return 1
