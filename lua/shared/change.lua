-- The only publisher of presence. One publication raises the room's seq by one, whatever number of entries it carries:
--   epoch ␞ seq ␞ count ␞ connections ␞ now [␝ entry]…
--   entry = + ␞ user ␞ joinedAt ␞ id ␞ name ␞ data          a user joined
--         | ~ ␞ user ␞ joinedAt ␞ id ␞ name ␞ data          a member's record changed
--         | - ␞ user ␞ id ␞ name ␞ reason [␞ connection]    a user left, and this connection is told
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
  return meta.epoch, meta.seq, redis.call('HLEN', KEYS[2]) - 1, redis.call('ZCARD', KEYS[1])
end

-- A room that is born now: its epoch tells when, so that of two the younger is known.
local function new_meta()
  local time = redis.call('TIME')
  return { epoch = string.format('%x', time[1] * 1000000 + time[2]), seq = 0, bound = math.huge, kept = 0 }
end

-- Raise seq, write it with one member's record (both optional), settle the index of rooms, publish.
local function publish(meta, now, user, value)
  meta.seq = meta.seq + 1
  if user then
    redis.call('HSET', KEYS[2], '', write_meta(meta), user, value)
  else
    redis.call('HSET', KEYS[2], '', write_meta(meta))
  end
  local count, connections = redis.call('HLEN', KEYS[2]) - 1, redis.call('ZCARD', KEYS[1])
  if count == 0 then
    redis.call('DEL', KEYS[2], KEYS[1], KEYS[3])
    redis.call('ZREM', KEYS[4], ARGV[1])
    redis.call('ZREM', KEYS[5], ARGV[1])
  elseif #entries > 0 then
    redis.call('ZADD', KEYS[5], string.format('%d', count), ARGV[1])
  end
  local head = string.format('%s\30%d\30%d\30%d\30%d', meta.epoch, meta.seq, count, connections, now)
  redis.call('SPUBLISH', KEYS[7], #entries > 0 and head .. '\29' .. table.concat(entries, '\29') or head)
  return meta.epoch, meta.seq, count, connections
end
