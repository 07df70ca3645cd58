#!lua flags=allow-oom
-- Move a chat room's read mark forward and tell how many of the customer's messages lie behind it.
-- KEYS[1] state hash the room's state, see shared/chat_state.lua
-- KEYS[2] unseen string bit seq − base − 1 is set where the customer wrote
-- KEYS[3] feed channel of the partition's chat changes
-- ARGV[1] room text room id
-- ARGV[2] seq seq the newest message that was seen; empty, or one that does not exist yet = the newest now
-- RETURNS {"read"|"unchanged", mark, unread} unchanged: the mark was there already, nothing is announced | {"unknown"}
-- REPEAT unchanged
-- COST O(1), and one bit counted for each message passed over: every message once in its life
--- @include chat_state
local STATE, UNSEEN = KEYS[1], KEYS[2]
local state = read_state(STATE)
if not state then
  return {'unknown'}
end
local mark = ARGV[2] == '' and state.seq or math.min(tonumber(ARGV[2]), state.seq)
if mark <= state.mark then
  return {'unchanged', state.mark, state.customer - state.seen}
end
if mark == state.seq then
  -- Everything is seen: no bit is needed any more.
  redis.call('DEL', UNSEEN)
  state.seen, state.base = state.customer, mark
else
  local passed = redis.call('BITCOUNT', UNSEEN, state.mark - state.base, mark - state.base - 1, 'BIT')
  state.seen = state.seen + passed
end
state.mark = mark
write_counts(STATE, state)
local unread = state.customer - state.seen
-- r ␞ room ␞ mark ␞ unread
redis.call('SPUBLISH', KEYS[3], string.format('r\30%s\30%.0f\30%.0f', ARGV[1], mark, unread))
return {'read', mark, unread}
