-- A chat room's state, three fields of its hash. info: who it belongs to, see chat_info; given: the details last merged
-- into it, so that the same ones again cost a comparison. counts: six whole numbers,
--   seq       number of the newest message = how many were ever saved
--   updated   time of the newest message, ms; before the first one the room's creation
--   customer  how many of the messages came from the customer
--   mark      the newest seq that was read
--   seen      how many of the customer's messages lie at or below the mark
--   base      the seq in front of the first bit of `unseen`
-- Unread is customer − seen: neither trimming nor a message saved beside a read can change what it counts.
local function read_state(key)
  local stored = redis.call('HMGET', key, 'info', 'given', 'counts')
  if not stored[1] then
    return nil
  end
  local seq, updated, customer, mark, seen, base = string.match(stored[3], '^(%d+) (%d+) (%d+) (%d+) (%d+) (%d+)$')
  return {
    info = stored[1], given = stored[2], seq = tonumber(seq), updated = tonumber(updated), customer = tonumber(customer),
    mark = tonumber(mark), seen = tonumber(seen), base = tonumber(base)
  }
end

local function new_state(now)
  return { seq = 0, updated = now, customer = 0, mark = 0, seen = 0, base = 0 }
end

local function write_counts(key, state)
  redis.call('HSET', key, 'counts', string.format('%.0f %.0f %.0f %.0f %.0f %.0f', state.seq, state.updated,
    state.customer, state.mark, state.seen, state.base))
end
