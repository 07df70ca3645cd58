-- The room of this call. Every script that changes a room declares these seven keys first, in this order.
local DEADLINES, MEMBERS, ROSTER, DUE, ROOMS, PARTITION, FEED = unpack(KEYS, 1, 7)
local ROOM = ARGV[1]

-- Something in the room has passed its deadline: the caller sweeps before it is answered.
local function is_due(now)
  return redis.call('ZCOUNT', DEADLINES, '-inf', now) > 0
end

local function node_key(token)
  return PARTITION .. 'node:' .. string.match(token, '^~?(........)')
end

local function user_key(user)
  return PARTITION .. 'user:' .. user
end

-- Why a user was removed, kept ten minutes: a later heartbeat asks.
local function removed_key()
  return PARTITION .. 'room:' .. ROOM .. ':removed'
end

-- Shared keys never live shorter for one room's sake than for another's.
local function keep(key, life)
  if redis.call('PTTL', key) < 1.5 * life then
    redis.call('PEXPIRE', key, 2 * life)
  end
end

-- Every key of the room outlives its newest deadline (now + life): set to two lives, renewed before half of one is used.
local function keep_room(life)
  if redis.call('PTTL', MEMBERS) < 1.5 * life then
    redis.call('PEXPIRE', MEMBERS, 2 * life)
    redis.call('PEXPIRE', DEADLINES, 2 * life)
    redis.call('PEXPIRE', ROSTER, 2 * life)
    keep(DUE, life)
    keep(ROOMS, life)
  end
end
