-- The call's time, whole milliseconds: Redis' own clock, or the one a test hands in. A passage: takes `now` as the argument
-- gave it, and makes it a number.
if now == '' then
  local time = redis.call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
else
  now = assert(tonumber(now), 'BADARG now_ms')
end
