#!lua flags=no-writes
-- Count a room's users and their connections, and tell its position.
-- KEYS[1] deadlines zset user␟connection → deadline, ms
-- KEYS[2] members hash user → record; "" → what the room says of itself
-- ARGV[1] now_ms ms empty = the clock of Redis
-- RETURNS {"count", epoch, seq, count, connections}; an unknown room has an empty epoch and zeros
-- RETURNS {"due"} sweep first
-- REPEAT changes nothing
-- COST O(log n), 4 commands at any size
local now = ARGV[1]
--- @include clock
local epoch, seq, bound = string.match(redis.call('HGET', KEYS[2], '') or '', '^(%x+)\31(%d+)\31(%d+)')
if not epoch then
  return 'count\30\0300\0300\0300'
elseif now >= tonumber(bound) and redis.call('ZCOUNT', KEYS[1], '-inf', string.format('%d', now)) > 0 then
  return 'due'
end
return string.format('count\30%s\30%s\30%d\30%d', epoch, seq, redis.call('HLEN', KEYS[2]) - 1, redis.call('ZCARD', KEYS[1]))
