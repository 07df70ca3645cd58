#!lua flags=no-writes
-- List one page of a partition's chat rooms, newest activity first.
-- KEYS[1] activity zset room → last activity, µs
-- KEYS[2] partition stem prefix of the partition's keys
-- ARGV[1] newest score list rooms up to this activity, µs; "(" in front leaves it out, +inf = from the newest
-- ARGV[2] limit count 1–1001
-- RETURNS {"rooms", total, room, activity, info, seq, updated, mark, unread, last_seq, last_at, last_body, …}
-- REPEAT changes nothing
-- COST O(log r + limit) for r rooms, two commands a room
--- @include chat_state
--- @include chat_describe
local answer = {'rooms', redis.call('ZCARD', KEYS[1])}
local rooms = redis.call('ZREVRANGEBYSCORE', KEYS[1], ARGV[1], '-inf', 'WITHSCORES', 'LIMIT', 0, ARGV[2])
for i = 1, #rooms, 2 do
  local base = KEYS[2] .. 'chat:room:' .. rooms[i]
  answer[#answer + 1] = rooms[i]
  answer[#answer + 1] = tonumber(rooms[i + 1])
  describe(answer, read_state(base .. ':state'), base .. ':messages')
end
return answer
