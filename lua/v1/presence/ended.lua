#!lua flags=no-writes
-- List nodes that have ended within a day, the latest first: declared dead, or stopped by themselves.
-- KEYS[1] leases zset node␟name → end of the lease, ms
-- KEYS[2] gone zset node → when it was condemned, ms
-- KEYS[3] retired zset node␟name → when it stopped by itself, ms
-- ARGV[1] limit count most of each told, 1–1000
-- RETURNS {"ended", dead, node, …} dead = how many of them were declared dead; one that holds a lease again has not ended
-- REPEAT changes nothing
-- COST O(n + limit) for n leases, bounded by 1000
local last = tonumber(ARGV[1]) - 1
local living = {}
for _, found in ipairs(redis.call('ZRANGE', KEYS[1], 0, 999)) do
  living[string.sub(found, 1, 8)] = true
end
local answer = redis.call('ZREVRANGE', KEYS[2], 0, last)
table.insert(answer, 1, #answer)
table.insert(answer, 1, 'ended')
for _, found in ipairs(redis.call('ZREVRANGE', KEYS[3], 0, last)) do
  local node = string.sub(found, 1, 8)
  if not living[node] then
    answer[#answer + 1] = node
  end
end
return answer
