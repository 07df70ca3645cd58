-- The only publisher of presence. A publication raises the room's seq by one, whatever number of entries it carries:
--   epoch ␞ seq ␞ count ␞ connections ␞ now [␝ entry]…
--   entry = + ␞ user ␞ joinedAt ␞ id ␞ name ␞ data          a user joined
--         | ~ ␞ user ␞ joinedAt ␞ id ␞ name ␞ data          a member's record changed
--         | - ␞ user ␞ id ␞ name ␞ reason [␞ connection]    a user left, and this connection is told
--         | x ␞ user ␞ connection ␞ reason ␞ message        a connection was put out, not by its own leave
-- No entry: only the number of connections changed.
-- A passage. It takes what room.lua opened, `value` = the user's record as it is from now on (nil: it stays as it is, or is
-- gone) and `entries` = each with its ␝ in front (nil: there is nothing to tell, seq stays); it makes
--   position   epoch ␞ seq ␞ count ␞ connections ␞ now, what the caller is answered
if entries then
  seq = seq + 1
end
local meta = string.format('%s\31%d\31%d\31%d', epoch, seq, bound, kept)
if value then
  redis.call('HSET', MEMBERS, '', meta, user, value)
elseif meta ~= stored[1] then
  redis.call('HSET', MEMBERS, '', meta)
end
local count, connections = redis.call('HLEN', MEMBERS) - 1, redis.call('ZCARD', DEADLINES)
if count == 0 then
  redis.call('DEL', MEMBERS, DEADLINES, ROSTER)
  redis.call('ZREM', DUE, ROOM)
  redis.call('ZREM', ROOMS, ROOM)
elseif entries and entries ~= '' then
  redis.call('ZADD', ROOMS, string.format('%d', count), ROOM)
end
local position = string.format('%s\30%d\30%d\30%d\30%d', epoch, seq, count, connections, now)
if entries then
  redis.call('SPUBLISH', FEED, position .. entries)
end
