#!lua flags=no-writes
-- List the nodes that hold a lease, and those whose connections are being removed.
-- KEYS[1] leases zset node␟name → end of the lease, ms
-- KEYS[2] condemned zset node␟reason␟name → when it was condemned, ms: what it left behind is being removed
-- ARGV[1] limit count most of each told, 1–1000
-- ARGV[2] now_ms ms empty = the clock of Redis
-- RETURNS {"nodes", now, leases, node␟name, ends, …, node␟reason, since, …} leases = how many of the pairs are leases,
--   the earliest end first, lapsed ones included
-- REPEAT changes nothing
-- COST O(log n + limit)
local now = ARGV[2]
--- @include clock
local last = tonumber(ARGV[1]) - 1
local leases = redis.call('ZRANGE', KEYS[1], 0, last, 'WITHSCORES')
local answer = {'nodes', now, #leases / 2}
for _, found in ipairs({leases, redis.call('ZRANGE', KEYS[2], 0, last, 'WITHSCORES')}) do
  for i = 1, #found, 2 do
    answer[#answer + 1] = string.match(found[i], '^[^\31]*\31[^\31]*')
    answer[#answer + 1] = tonumber(found[i + 1])
  end
end
return answer
