-- The only publisher of presence. One publication raises the room's seq by one, whatever number of entries it carries:
--   epoch ␞ seq ␞ count ␞ connections ␞ now [␝ entry]…
--   entry = + ␞ user ␞ joinedAt ␞ id ␞ name ␞ data          a user joined
--         | ~ ␞ user ␞ joinedAt ␞ id ␞ name ␞ data          a member's record changed
--         | - ␞ user ␞ id ␞ name ␞ reason                   a user left
--         | x ␞ user ␞ connection ␞ reason ␞ message        a connection was put out, not by its own leave
-- No entry: only the number of connections changed.
local entries = {}

local function note(...)
  entries[#entries + 1] = table.concat({...}, '\30')
end

local function note_member(sign, user, record)
  note(sign, user, string.format('%.0f', record.joined_at), record.id, record.name, record.data)
end

-- A connection on its way out (token: '~' when in grace) is told on the server that holds its socket.
local function note_connection(user, token, reason, message)
  note('x', user, (string.gsub(token, '^~', '')), reason, message)
end

-- Where the room stands: epoch, seq, count, connections.
local function position(meta)
  local epoch, seq = string.match(meta, '^(%x+)\31(%d+)$')
  return epoch, tonumber(seq), redis.call('HLEN', MEMBERS) - 1, redis.call('ZCARD', DEADLINES)
end

local function new_epoch()
  local time = redis.call('TIME')
  return string.format('%x', time[1] * 1000000 + time[2])
end

-- Raise seq, write it with one member's record (both optional), settle the index of rooms, publish.
-- `meta` is the `members` field '' as read by the caller, false for a room that is new.
local function publish(meta, now, user, value)
  local epoch, seq = string.match(meta or '', '^(%x+)\31(%d+)$')
  epoch, seq = epoch or new_epoch(), string.format('%.0f', (tonumber(seq) or 0) + 1)
  if user then
    redis.call('HSET', MEMBERS, '', epoch .. '\31' .. seq, user, value)
  else
    redis.call('HSET', MEMBERS, '', epoch .. '\31' .. seq)
  end
  local count, connections = redis.call('HLEN', MEMBERS) - 1, redis.call('ZCARD', DEADLINES)
  if count == 0 then
    redis.call('DEL', MEMBERS, DEADLINES, ROSTER)
    redis.call('ZREM', DUE, ROOM)
    redis.call('ZREM', ROOMS, ROOM)
  elseif #entries > 0 then
    redis.call('ZADD', ROOMS, count, ROOM)
  end
  local head = string.format('%s\30%s\30%d\30%d\30%.0f', epoch, seq, count, connections, now)
  redis.call('SPUBLISH', FEED, #entries > 0 and head .. '\29' .. table.concat(entries, '\29') or head)
  return epoch, tonumber(seq), count, connections
end
