#!lua flags=allow-oom
-- Give up a node's lease: it stopped by itself (its connections wait in grace), or what it left behind has been removed.
-- KEYS[1] leases zset node␟name → end of the lease, ms
-- KEYS[2] condemned zset node␟reason␟name → when it was condemned, ms
-- KEYS[3] retired zset node␟name → when it stopped by itself, ms: its next boot looks after it
-- ARGV[1] node text boot id
-- ARGV[2] what text the node's name when it stopped by itself; reason␟name when it had been condemned
-- ARGV[3] now_ms ms empty = the clock of Redis
-- RETURNS {"retired", now, known} known = 1 when there was something to give up
-- REPEAT gives up nothing
-- COST O(log n)
local now, member = ARGV[3], ARGV[1] .. '\31' .. ARGV[2]
--- @include clock
local stopped = redis.call('ZREM', KEYS[1], member)
if stopped == 1 then
  redis.call('ZADD', KEYS[3], now, member)
  redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', now - 86400000)
  redis.call('PEXPIRE', KEYS[3], 86400000)
end
return {'retired', now, stopped + redis.call('ZREM', KEYS[2], member)}
