-- The only remover. Connections and users are collected, then taken out of every structure at once.
-- Functions here read KEYS and ARGV, not a script's locals: a closure pays for every local it captures.
local gone = { slots = {}, nodes = {}, users = {}, reasons = {}, forgotten = {}, counts = {} }
-- What change.lua is to publish, an entry an element; the first one makes the ␝ in front of all others.
local noted = {''}

-- One connection (a token: '~' when in grace) is to go; its user's record is the caller's to change.
local function drop(user, token, slot)
  gone.slots[#gone.slots + 1] = slot or user .. '\31' .. token
  local node = string.byte(token) == 126 and string.sub(token, 2, 9) or string.sub(token, 1, 8)
  gone.nodes[node] = (gone.nodes[node] or 0) + 1
end

-- A connection on its way out is told on the server that holds its socket.
local function note_connection(user, token, reason, message)
  local connection = string.byte(token) == 126 and string.sub(token, 2) or token
  noted[#noted + 1] = 'x\30' .. user .. '\30' .. connection .. '\30' .. reason .. '\30' .. message
end

-- Take a user without connections out. `shown` = the record's id ␞ name; `reason` is announced, to a last `connection` that
-- was put out too; one that was not the user's own doing is also kept for a while, so that a later heartbeat can be told why.
local function remove_user(user, shown, reason, connection)
  gone.users[#gone.users + 1] = user
  noted[#noted + 1] = '-\30' .. user .. '\30' .. shown .. '\30' .. reason .. (connection and '\30' .. connection or '')
  if KEYS[8] then
    redis.call('HDEL', KEYS[8] .. user, ARGV[1])
  end
  gone.counts[reason] = (gone.counts[reason] or 0) + 1
  if reason == 'left' or reason == 'disconnected' then
    gone.forgotten[#gone.forgotten + 1] = user
  else
    gone.reasons[#gone.reasons + 1] = user
    gone.reasons[#gone.reasons + 1] = reason
  end
end

local function shown_of(public)
  return string.match(public, '^[^\30]*\30[^\30]*')
end

-- `lowest`: the slots are the lowest ranks of the deadlines, which is cheaper to say than their names.
local function remove_gone(now, lowest)
  if lowest then
    redis.call('ZREMRANGEBYRANK', KEYS[1], 0, #gone.slots - 1)
  else
    for from = 1, #gone.slots, 1000 do
      redis.call('ZREM', KEYS[1], unpack(gone.slots, from, math.min(from + 999, #gone.slots)))
    end
  end
  for node, connections in pairs(gone.nodes) do
    local held = KEYS[6] .. 'node:' .. node
    if redis.call('HINCRBY', held, ARGV[1], -connections) <= 0 then
      redis.call('HDEL', held, ARGV[1])
    end
  end
  if #gone.users > 0 then
    redis.call('HDEL', KEYS[2], unpack(gone.users))
    redis.call('ZREM', KEYS[3], unpack(gone.users))
  end
  local day = KEYS[6] .. 'removals:' .. math.floor(now / 86400000)
  for reason, users in pairs(gone.counts) do
    if redis.call('HINCRBY', day, reason, users) == users then
      redis.call('PEXPIRE', day, 2592000000)
    end
  end
  local removed = KEYS[6] .. 'room:' .. ARGV[1] .. ':removed'
  if #gone.forgotten > 0 then
    redis.call('HDEL', removed, unpack(gone.forgotten))
  end
  if #gone.reasons > 0 then
    redis.call('HSET', removed, unpack(gone.reasons))
    redis.call('PEXPIRE', removed, 600000)
  end
end
