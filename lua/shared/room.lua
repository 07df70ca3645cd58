-- The room of this call. Every script that changes a room declares these seven keys first, in this order.
-- Functions here read KEYS and ARGV, not these locals: a closure pays for every local it captures.
local DEADLINES, MEMBERS, ROSTER, DUE, ROOMS, PARTITION, FEED = unpack(KEYS, 1, 7)
local ROOM = ARGV[1]

-- Something in the room has passed its deadline: the caller sweeps before it is answered.
local function is_due(now)
  return redis.call('ZCOUNT', KEYS[1], '-inf', now) > 0
end

local function node_key(token)
  return KEYS[6] .. 'node:' .. string.match(token, '^~?(........)')
end

-- Why a user was removed, kept ten minutes: a later heartbeat asks.
local function removed_key()
  return KEYS[6] .. 'room:' .. ARGV[1] .. ':removed'
end
