-- A chat room's state: the fields of its hash.
--   info      createdAt ␞ phone ␞ title ␞ rank ␞ name ␞ leads, see chat_info
--   seq       number of the newest message = how many were ever saved
--   updated   time of the newest message, ms; before the first one the room's creation
--   customer  how many of the messages came from the customer
--   mark      the newest seq that was read
--   seen      how many of the customer's messages lie at or below the mark
--   base      the seq in front of the first bit of `unseen`
-- Unread is customer − seen: neither trimming nor a message saved beside a read can change what it counts.
local function read_state(key)
  local stored = redis.call('HMGET', key, 'info', 'seq', 'updated', 'customer', 'mark', 'seen', 'base')
  if not stored[1] then
    return nil
  end
  return {
    info = stored[1], seq = tonumber(stored[2]), updated = tonumber(stored[3]), customer = tonumber(stored[4]),
    mark = tonumber(stored[5]), seen = tonumber(stored[6]), base = tonumber(stored[7])
  }
end

local function new_state(info, now)
  return { info = info, seq = 0, updated = now, customer = 0, mark = 0, seen = 0, base = 0 }
end

local function write_state(key, state)
  redis.call('HSET', key, 'info', state.info, 'seq', state.seq, 'updated', state.updated, 'customer', state.customer,
    'mark', state.mark, 'seen', state.seen, 'base', state.base)
end
