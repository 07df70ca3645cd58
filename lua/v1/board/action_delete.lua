#!lua flags=allow-oom
-- Take an action item out of a board.
-- KEYS[1] meta hash createdAt, version, updatedAt and added: the action items of the last moment
-- KEYS[2] positions hash item → position as JSON
-- KEYS[3] grouping hash itemGroups, signatureColors as JSON and their timestamp, ms
-- KEYS[4] actions hash id → record
-- KEYS[5] votes hash user → group␟number␟…
-- KEYS[6] feed channel of the board's changes
-- ARGV[1] ttl_ms ms life of the whole board without a change or a join
-- ARGV[2] now_ms ms empty = the clock of Redis
-- ARGV[3] id text the item's
-- RETURNS {"deleted", now, createdAt, version, updatedAt}
-- RETURNS {"absent"} there is no such item
-- REPEAT answers "absent"
-- COST O(n) for n action items: the change shows those that are left; 11 commands
--- @include board
--- @include action
assert(TTL and #ARGV == 3, 'BADARG id')
local id = ARGV[3]
local now = NOW
--- @include clock
local board = open_board(now)
if redis.call('HDEL', ACTIONS, id) == 0 then
  return { 'absent' }
end
publish_actions(board, now, 'deleted', id)
return answer('deleted', board, now)
