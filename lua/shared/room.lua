-- The room of this call. Every script that changes a room declares these seven keys first, in this order.
-- Functions here read KEYS and ARGV, not these locals: a closure pays for every local it captures.
local DEADLINES, MEMBERS, ROSTER, DUE, ROOMS, PARTITION, FEED = unpack(KEYS, 1, 7)
local ROOM = ARGV[1]

-- What the room says of itself, in the field '' of `members`: epoch ␟ seq ␟ bound ␟ kept
--   bound = lower bound of its earliest deadline, the same as its score in `due`; kept = until when its keys live at least
local function read_meta(text)
  local epoch, seq, bound, kept = string.match(text or '', '^(%x+)\31(%d+)\31(%d+)\31(%d+)$')
  return epoch and { epoch = epoch, seq = tonumber(seq), bound = tonumber(bound), kept = tonumber(kept) }
end

local function write_meta(meta)
  return string.format('%s\31%d\31%d\31%d', meta.epoch, meta.seq, meta.bound, meta.kept)
end

-- Something in the room has passed its deadline: the caller sweeps before it is answered.
local function is_due(meta, now)
  return meta and now >= meta.bound and redis.call('ZCOUNT', KEYS[1], '-inf', string.format('%d', now)) > 0
end

-- A deadline was set: the sweeper must not come later.
local function note_deadline(meta, deadline)
  if deadline < meta.bound then
    meta.bound = deadline
    redis.call('ZADD', KEYS[4], string.format('%d', deadline), ARGV[1])
  end
end

local function node_key(token)
  return KEYS[6] .. 'node:' .. string.match(token, '^~?(........)')
end

-- Why a user was removed, kept ten minutes: a later heartbeat asks.
local function removed_key()
  return KEYS[6] .. 'room:' .. ARGV[1] .. ':removed'
end
