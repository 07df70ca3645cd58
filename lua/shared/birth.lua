-- A room that is born now: its epoch tells when, so that of two the younger is known. A passage; makes what room.lua opens.
if not epoch then
  local time = redis.call('TIME')
  epoch, seq, bound, kept = string.format('%x', time[1] * 1000000 + time[2]), 0, math.huge, 0
  -- Members without it: somebody deleted the field. A sweep finds out what is due first.
  if redis.call('ZCARD', DEADLINES) > 0 then
    bound = 0
    redis.call('ZADD', DUE, 0, ROOM)
  end
end
