-- ARGV: tenant weight max_running
-- Tells what a tenant may have from here on, if anything is known of it.
runs_without_room()
if redis.call('EXISTS', tenant_key(ARGV[1])) == 0 then return 0 end
redis.call('HSET', tenant_key(ARGV[1]), 'weight', ARGV[2], 'max_running', ARGV[3])
if place(ARGV[1]) then wake() end
return 1
