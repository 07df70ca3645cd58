#!lua flags=allow-oom
-- Delete messages past their age from the room of a partition that holds the oldest. Seq, counts and marks stay.
-- KEYS[1] oldest zset room → lower bound of the time of its oldest message, ms
-- KEYS[2] partition stem prefix of the partition's keys
-- ARGV[1] max_age_ms ms a message is deleted when this old
-- ARGV[2] limit count most messages looked at, 1–1000
-- ARGV[3] now_ms ms empty = the clock of Redis
-- RETURNS {"trimmed", removed, more} more = 1 when some room must still be looked at
-- REPEAT deletes what has grown old since
-- COST O(log r + limit) for r rooms
local now = ARGV[3]
--- @include clock
local cutoff = now - ARGV[1]
local room = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', cutoff, 'LIMIT', 0, 1)[1]
if not room then
  return {'trimmed', 0, 0}
end
local messages = KEYS[2] .. 'chat:room:' .. room .. ':messages'
local oldest, removed = nil, 0
for _, entry in ipairs(redis.call('XRANGE', messages, '-', '+', 'COUNT', ARGV[2])) do
  oldest = entry
  if tonumber(entry[2][2]) > cutoff then
    break
  end
  removed = removed + 1
end
if removed > 0 then
  redis.call('XTRIM', messages, 'MAXLEN', redis.call('XLEN', messages) - removed)
  oldest = redis.call('XRANGE', messages, '-', '+', 'COUNT', 1)[1]
end
if oldest then
  redis.call('ZADD', KEYS[1], oldest[2][2], room)
else
  redis.call('DEL', messages)
  redis.call('ZREM', KEYS[1], room)
end
return {'trimmed', removed, redis.call('ZCOUNT', KEYS[1], '-inf', cutoff) > 0 and 1 or 0}
