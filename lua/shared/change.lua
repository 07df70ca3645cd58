-- The only publisher of presence. One publication raises the room's seq by one, whatever number of entries it carries:
--   epoch ␞ seq ␞ count ␞ connections ␞ now [␝ entry]…
--   entry = + ␞ user ␞ joinedAt ␞ id ␞ name ␞ data          a user joined
--         | ~ ␞ user ␞ joinedAt ␞ id ␞ name ␞ data          a member's record changed
--         | - ␞ user ␞ id ␞ name ␞ reason                   a user left
--         | x ␞ user ␞ connection ␞ reason ␞ message        a connection was put out, not by its own leave
-- No entry: only the number of connections changed.
-- Functions here read KEYS and ARGV, not a script's locals: a closure pays for every local it captures.
local entries = {}

local function note_member(sign, user, record)
  entries[#entries + 1] = sign .. '\30' .. user .. '\30' .. record.joined_at .. '\30' .. record.public
end

-- A connection on its way out (token: '~' when in grace) is told on the server that holds its socket.
local function note_connection(user, token, reason, message)
  local connection = string.sub(token, 1, 1) == '~' and string.sub(token, 2) or token
  entries[#entries + 1] = 'x\30' .. user .. '\30' .. connection .. '\30' .. reason .. '\30' .. message
end

-- Where the room stands: epoch, seq, count, connections.
local function position(meta)
  local epoch, seq = string.match(meta, '^(%x+)\31(%d+)$')
  return epoch, tonumber(seq), redis.call('HLEN', KEYS[2]) - 1, redis.call('ZCARD', KEYS[1])
end

-- Raise seq, write it with one member's record (both optional), settle the index of rooms, publish.
-- `meta` is the `members` field '' as read by the caller, false for a room that is new.
local function publish(meta, now, user, value)
  local room, epoch, seq = ARGV[1], string.match(meta or '', '^(%x+)\31(%d+)$')
  if not epoch then
    local time = redis.call('TIME')
    epoch, seq = string.format('%x', time[1] * 1000000 + time[2]), 0
  end
  local raised = string.format('%d', seq + 1)
  if user then
    redis.call('HSET', KEYS[2], '', epoch .. '\31' .. raised, user, value)
  else
    redis.call('HSET', KEYS[2], '', epoch .. '\31' .. raised)
  end
  local count, connections = redis.call('HLEN', KEYS[2]) - 1, redis.call('ZCARD', KEYS[1])
  local users = string.format('%d', count)
  if count == 0 then
    redis.call('DEL', KEYS[2], KEYS[1], KEYS[3])
    redis.call('ZREM', KEYS[4], room)
    redis.call('ZREM', KEYS[5], room)
  elseif #entries > 0 then
    redis.call('ZADD', KEYS[5], users, room)
  end
  local head = epoch .. '\30' .. raised .. '\30' .. users .. '\30' .. connections .. '\30' .. now
  redis.call('SPUBLISH', KEYS[7], #entries > 0 and head .. '\29' .. table.concat(entries, '\29') or head)
  return epoch, seq + 1, count, connections
end
