#!lua
-- Make a chat room before anybody wrote in it, or tell an existing one who it belongs to. Nothing is announced.
-- KEYS[1] state hash the room's state, see shared/chat_state.lua
-- KEYS[2] activity zset room → last activity, µs
-- ARGV[1] room text room id
-- ARGV[2] details text phone␞title␞rank␞name␞leads, see shared/chat_info.lua
-- ARGV[3] now_ms ms empty = the clock of Redis
-- RETURNS {"opened", now} the room is new | {"known", now} it was there; names of at least the same rank replace its own
-- REPEAT changes nothing
-- COST O(log r) for r rooms
--- @include chat_state
--- @include chat_info
--- @include chat_activity
local now, state = ARGV[3], read_state(KEYS[1])
--- @include clock
redis.call('HSET', KEYS[1], 'info', merged_info(state and state.info, ARGV[2], now), 'given', ARGV[2])
if state then
  return {'known', now}
end
write_counts(KEYS[1], new_state(now))
touch(KEYS[2], ARGV[1], now)
return {'opened', now}
