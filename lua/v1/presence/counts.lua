#!lua flags=no-writes
-- Count the users of many rooms of one partition.
-- KEYS[1...] rooms key deadlines and members of each room in turn, at most 1000 rooms
-- ARGV[1] now_ms ms empty = the clock of Redis
-- RETURNS {"counts", now, epoch, seq, count, connections, …} four a room; count -1 where the room is due: sweep it and ask again
-- REPEAT changes nothing
-- COST O(k log n) for k rooms, 4 commands a room
local now = ARGV[1]
--- @include clock
local answer = {'counts', now}
for i = 1, #KEYS, 2 do
  local at = #answer
  local meta = redis.call('HGET', KEYS[i + 1], '')
  local epoch, seq, bound = string.match(meta or '', '^(%x+)\31(%d+)\31(%d+)')
  if not epoch then
    answer[at + 1], answer[at + 2], answer[at + 3], answer[at + 4] = '', 0, 0, 0
  elseif now >= tonumber(bound) and redis.call('ZCOUNT', KEYS[i], '-inf', now) > 0 then
    answer[at + 1], answer[at + 2], answer[at + 3], answer[at + 4] = '', 0, -1, 0
  else
    answer[at + 1], answer[at + 2] = epoch, tonumber(seq)
    answer[at + 3], answer[at + 4] = redis.call('HLEN', KEYS[i + 1]) - 1, redis.call('ZCARD', KEYS[i])
  end
end
return answer
