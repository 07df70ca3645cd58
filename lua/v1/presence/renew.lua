#!lua flags=allow-oom
-- Renew a node's lease, or register it, and tell which other nodes have died.
-- KEYS[1] leases zset node␟name → end of the lease, ms
-- KEYS[2] condemned zset node␟reason␟name → when it was condemned, ms: what it left behind is being removed
-- KEYS[3] gone zset node → when it was condemned, ms: kept a day, so that a node that hung learns of it
-- ARGV[1] node text boot id, 8 characters
-- ARGV[2] name text the node's name, for people and for restarts
-- ARGV[3] lease_ms ms the lease ends at now + this
-- ARGV[4] now_ms ms empty = the clock of Redis
-- RETURNS {"renewed", now, in_time, next, lapsed, node␟name, …, node␟reason␟name, …} in_time = 1 when the lease had not run out
--   next = the earliest end of another lease, -1 without one; lapsed = how many of the entries that follow are lapsed leases,
--   at most 10; the rest, at most 10, are condemned
-- RETURNS {"registered", now} the node was not known | {"condemned", now} it was declared dead and may not come back
-- REPEAT renews again
-- COST O(log n) for n nodes
local now = ARGV[4]
--- @include clock
local member = ARGV[1] .. '\31' .. ARGV[2]
if redis.call('ZSCORE', KEYS[3], ARGV[1]) then
  return {'condemned', now}
end
local ends_at = redis.call('ZSCORE', KEYS[1], member)
redis.call('ZADD', KEYS[1], now + ARGV[3], member)
redis.call('PEXPIRE', KEYS[1], 86400000)
if not ends_at then
  return {'registered', now}
end
redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', now - 86400000)
local lapsed = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, 10)
local alive = redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. string.format('%.0f', now), '+inf', 'WITHSCORES', 'LIMIT', 0, 2)
local upcoming = alive[1] == member and alive[4] or alive[1] ~= member and alive[2]
local answer = {'renewed', now, tonumber(ends_at) > now and 1 or 0, upcoming and tonumber(upcoming) or -1, #lapsed}
for _, found in ipairs(lapsed) do
  answer[#answer + 1] = found
end
for _, found in ipairs(redis.call('ZRANGE', KEYS[2], 0, 9)) do
  answer[#answer + 1] = found
end
return answer
