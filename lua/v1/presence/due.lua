#!lua flags=no-writes
-- Tell a sweeper which rooms of one partition are due, and when the next one will be.
-- KEYS[1] due zset room → lower bound of its earliest deadline, ms
-- ARGV[1] limit count most rooms told, 1–1000
-- ARGV[2] now_ms ms empty = the clock of Redis
-- RETURNS {"due", now, next, room, …} next = the earliest bound after now, -1 when there is none
-- REPEAT changes nothing
-- COST O(log r + limit)
local now = ARGV[2]
--- @include clock
local rooms = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, ARGV[1])
local upcoming = redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. string.format('%.0f', now), '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
local answer = {'due', now, upcoming[2] and tonumber(upcoming[2]) or -1}
for i, room in ipairs(rooms) do
  answer[3 + i] = room
end
return answer
