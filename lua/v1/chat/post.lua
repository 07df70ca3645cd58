#!lua
-- Save one message of a chat room, once, and announce it; a customer's first message makes the room.
-- KEYS[1] state hash the room's state, see shared/chat_state.lua
-- KEYS[2] messages stream seq-0 → t = time in ms, b = body
-- KEYS[3] unseen string bit seq − base − 1 is set where the customer wrote
-- KEYS[4] activity zset room → last activity, µs
-- KEYS[5] oldest zset room → lower bound of the time of its oldest message, ms
-- KEYS[6] feed channel of the partition's chat changes
-- KEYS[7] once string seq and time (ms) saved under this call's idempotency key; left out without one
-- ARGV[1] room text room id
-- ARGV[2] author word customer or agent
-- ARGV[3] body json the message as given, without what is decided here (seq, time)
-- ARGV[4] details text phone␞title␞rank␞name␞leads, see shared/chat_info.lua; empty = the room must exist
-- ARGV[5] max_messages count most messages kept, 0 = no bound; at most 100 are trimmed a call
-- ARGV[6] once_ms ms how long the idempotency key is remembered
-- ARGV[7] now_ms ms empty = the clock of Redis
-- RETURNS {"created"|"saved", at, seq, unread} created: the room is new; seq is 1 for exactly one call a room
-- RETURNS {"duplicate", at, seq, body} saved before; body is empty when it is trimmed | {"unknown"} no such room
-- REPEAT with an idempotency key: duplicate, changes and announces nothing; without one: one more message
-- COST O(log r) for r rooms, 8–13 commands at any number of messages, 2 for a duplicate
--- @include chat_state
--- @include chat_info
--- @include chat_activity
local STATE, MESSAGES, UNSEEN, ACTIVITY, OLDEST, FEED, ONCE = unpack(KEYS)
local ROOM, body, max_messages, once_ms = ARGV[1], ARGV[3], tonumber(ARGV[5]), tonumber(ARGV[6])
if not max_messages or not once_ms or (ARGV[2] ~= 'customer' and ARGV[2] ~= 'agent') then
  return error('BADARG')
end
local saved_as = ONCE and redis.call('GET', ONCE)
if saved_as then
  -- An earlier release kept the seq alone.
  local seq, at = string.match(saved_as, '^(%d+) ?(%d*)$')
  local kept = redis.call('XRANGE', MESSAGES, seq, seq)[1]
  return {'duplicate', tonumber(kept and kept[2][2] or at) or 0, tonumber(seq), kept and kept[2][4] or ''}
end
local state = read_state(STATE)
local known = state ~= nil
if not known and ARGV[4] == '' then
  return {'unknown'}
end
local now = ARGV[7]
--- @include clock
state = state or new_state(now)
local renamed = ARGV[4] ~= '' and ARGV[4] ~= state.given
local info = renamed and merged_info(state.info, ARGV[4], now) or state.info

-- A clock that steps back must not put a message in front of an earlier one.
local at, seq = math.max(now, state.updated), state.seq + 1
-- The stream refuses a seq it has had, so it is the first to be written: nothing is half done.
redis.call('XADD', MESSAGES, string.format('%.0f-0', seq), 't', string.format('%.0f', at), 'b', body)
if ARGV[2] == 'customer' then
  state.customer = state.customer + 1
  redis.call('SETBIT', UNSEEN, seq - state.base - 1, 1)
end
if renamed then
  redis.call('HSET', STATE, 'info', info, 'given', ARGV[4])
end
state.seq, state.updated = seq, at
write_counts(STATE, state)
touch(ACTIVITY, ROOM, now)
if ONCE then
  redis.call('SET', ONCE, string.format('%.0f %.0f', seq, at), 'PX', once_ms)
end
local kept = redis.call('XLEN', MESSAGES)
if kept == 1 then
  redis.call('ZADD', OLDEST, at, ROOM)
elseif max_messages > 0 and kept > max_messages then
  redis.call('XTRIM', MESSAGES, 'MAXLEN', math.max(max_messages, kept - 100))
end
local unread = state.customer - state.seen
-- m ␞ room ␞ seq ␞ at ␞ unread ␞ body ␞ the room's info, only with its first message
redis.call('SPUBLISH', FEED, string.format('m\30%s\30%.0f\30%.0f\30%.0f\30', ROOM, seq, at, unread)
  .. body .. '\30' .. (seq == 1 and info or ''))
return {known and 'saved' or 'created', at, seq, unread}
