#!lua flags=allow-oom
-- Let a board live its whole TTL again, because somebody joined.
-- KEYS[1] meta hash createdAt, version, updatedAt and added: the action items of the last moment
-- KEYS[2] positions hash item → position as JSON
-- KEYS[3] grouping hash itemGroups, signatureColors as JSON and their timestamp, ms
-- KEYS[4] actions hash id → record
-- KEYS[5] votes hash user → group␟number␟…
-- KEYS[6] feed channel of the board's changes
-- ARGV[1] ttl_ms ms life of the whole board without a change or a join
-- ARGV[2] now_ms ms empty = the clock of Redis
-- RETURNS {"touched"} | {"empty"} there is no board
-- REPEAT the same
-- COST O(1), 7 commands
--- @include board
assert(TTL and #ARGV == 2, 'BADARG ttl')
if redis.call('EXISTS', META) == 0 then
  return { 'empty' }
end
local now = NOW
--- @include clock
keep_board(now)
return { 'touched' }
