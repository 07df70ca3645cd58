#!lua flags=no-writes
-- Tell a stretch of the rooms that one partition has noted, in either index.
-- KEYS[1] due zset room → lower bound of its earliest deadline, ms
-- KEYS[2] rooms zset room → count
-- ARGV[1] offset count ranks passed over
-- ARGV[2] limit count ranks looked at in each index, 1–1000
-- RETURNS {"rooms", room, …} a room noted in both may be told twice; empty past the end of both
-- REPEAT changes nothing
-- COST O(log r + limit)
local last = ARGV[1] + ARGV[2] - 1
local answer = {'rooms'}
for _, index in ipairs({KEYS[1], KEYS[2]}) do
  for _, room in ipairs(redis.call('ZRANGE', index, ARGV[1], last)) do
    answer[#answer + 1] = room
  end
end
return answer
