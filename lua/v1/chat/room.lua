#!lua flags=no-writes
-- Tell one chat room with its newest message.
-- KEYS[1] state hash the room's state, see shared/chat_state.lua
-- KEYS[2] messages stream seq-0 → t = time in ms, b = body
-- RETURNS {"room", info, seq, updated, mark, unread, last_seq, last_at, last_body} | {"unknown"}
-- REPEAT changes nothing
-- COST O(1)
--- @include chat_state
--- @include chat_describe
local state = read_state(KEYS[1])
if not state then
  return {'unknown'}
end
return describe({'room'}, state, KEYS[2])
