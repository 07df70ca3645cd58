-- A room that is born now: its epoch tells when, so that of two the younger is known. A passage; makes what room.lua opens.
if not epoch then
  local time = redis.call('TIME')
  epoch, seq, bound, kept = string.format('%x', time[1] * 1000000 + time[2]), 0, math.huge, 0
end
