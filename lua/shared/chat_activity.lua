-- Rooms are ordered by their last activity. Scores are microseconds and each is larger than any before it, so no two
-- rooms of a partition share a place: the order is that of the calls, and one number is a page's cursor.
local function touch(activity, room, now)
  local newest = redis.call('ZREVRANGE', activity, 0, 0, 'WITHSCORES')
  redis.call('ZADD', activity, math.max(now * 1000, (tonumber(newest[2]) or 0) + 1), room)
end
