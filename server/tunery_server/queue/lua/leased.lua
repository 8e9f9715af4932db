-- Returns the jobs under a lease that has not run out.
return redis.call('ZRANGEBYSCORE', LEASES, '(' .. now_ms(), '+inf')
