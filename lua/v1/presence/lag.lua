#!lua flags=no-writes
-- Tell how long the rooms of one partition that are due have been waiting for a sweep.
-- KEYS[1] due zset room → lower bound of its earliest deadline, ms
-- ARGV[1] now_ms ms empty = the clock of Redis
-- RETURNS {"lag", now, oldest, rooms} oldest = the earliest bound, -1 when none has passed; rooms = how many have
-- REPEAT changes nothing
-- COST O(log r)
local now = ARGV[1]
--- @include clock
local oldest = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'WITHSCORES', 'LIMIT', 0, 1)
return {'lag', now, oldest[2] and tonumber(oldest[2]) or -1, redis.call('ZCOUNT', KEYS[1], '-inf', now)}
