-- Writes, and leaves nothing: fails when nothing can be written, for want of memory or of a disk.
local PROBE = P .. ':probe'
redis.call('SET', PROBE, '1')
redis.call('DEL', PROBE)
return 1
