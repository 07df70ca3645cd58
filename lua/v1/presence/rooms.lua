#!lua flags=no-writes
-- List the live rooms of one partition by count, largest first.
-- KEYS[1] due zset room → lower bound of its earliest deadline, ms
-- KEYS[2] rooms zset room → count
-- KEYS[3] partition stem prefix of the partition's keys
-- ARGV[1] limit count 0–1000
-- ARGV[2] now_ms ms empty = the clock of Redis
-- RETURNS {"rooms", now, total, room, count, connections, …}
-- RETURNS {"due", room, …} sweep these first, at most 100
-- REPEAT changes nothing
-- COST O(log r + limit)
local now = ARGV[2]
--- @include clock
local due = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, 100)
if #due > 0 then
  table.insert(due, 1, 'due')
  return due
end
local answer = {'rooms', now, redis.call('ZCARD', KEYS[2])}
local limit = tonumber(ARGV[1])
local rooms = limit > 0 and redis.call('ZREVRANGE', KEYS[2], 0, limit - 1, 'WITHSCORES') or {}
for i = 1, #rooms, 2 do
  local at = #answer
  answer[at + 1], answer[at + 2] = rooms[i], tonumber(rooms[i + 1])
  answer[at + 3] = redis.call('ZCARD', KEYS[3] .. 'room:' .. rooms[i] .. ':deadlines')
end
return answer
