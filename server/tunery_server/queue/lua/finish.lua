-- ARGV: job token
-- Gives a lease back, unless another owner has it.
runs_without_room()
if redis.call('HGET', job_key(ARGV[1]), 'token') ~= ARGV[2] then return 0 end
charge(ARGV[1], now_ms())
drop_lease(ARGV[1])
return 1
