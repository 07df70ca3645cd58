-- A room that is born now: its epoch tells when, so that of two the younger is known. A passage; makes what room.lua opens.
if not epoch then
  local time = redis.call('TIME')
  epoch, seq, bound, kept = string.format('%x', time[1] * 1000000 + time[2]), 0, math.huge, 0
  -- Members without it: somebody deleted the field. A sweep finds out what is due first.
  if redis.call('ZCARD', DEADLINES) > 0 or redis.call('HLEN', MEMBERS) > 0 then
    bound = string.format('%d', now)
    redis.call('ZADD', DUE, 'XX', bound, ROOM)
  end
end
