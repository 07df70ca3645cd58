-- The call's time, whole milliseconds: Redis' own clock, or the one a test hands in.
local function clock(given)
  if given ~= '' then
    return assert(tonumber(given), 'BADARG now_ms')
  end
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end
