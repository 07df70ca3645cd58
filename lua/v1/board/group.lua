#!lua
-- Replace a board's groups and their colours, unless a newer grouping holds.
-- KEYS[1] meta hash createdAt, version, updatedAt and added: the action items of the last moment
-- KEYS[2] positions hash item → position as JSON
-- KEYS[3] grouping hash itemGroups, signatureColors as JSON and their timestamp, ms
-- KEYS[4] actions hash id → record
-- KEYS[5] votes hash user → group␟number␟…
-- KEYS[6] feed channel of the board's changes
-- ARGV[1] ttl_ms ms life of the whole board without a change or a join
-- ARGV[2] now_ms ms empty = the clock of Redis
-- ARGV[3] user json who groups
-- ARGV[4] timestamp ms the client's time; no number, or one ahead of the clock, counts as now
-- ARGV[5] item_groups json item → signature
-- ARGV[6] signature_colors json signature → colour
-- RETURNS {"grouped", now, createdAt, version, updatedAt, timestamp} timestamp as it counted
-- RETURNS {"stale", now, createdAt, version, updatedAt, timestamp, itemGroups, signatureColors} what holds instead; nothing changed
-- REPEAT groups the same again, under a new version
-- COST O(1) in the number of items; 11 commands
--- @include board
assert(TTL and #ARGV == 6, 'BADARG grouping')
local now = NOW
--- @include clock
local given = tonumber(ARGV[4])
if not given or given ~= given or given > now then
  given = now
end
given = math.floor(math.max(given, 0))
local board = open_board(now)
local held = redis.call('HMGET', GROUPING, 'timestamp', 'itemGroups', 'signatureColors')
-- A failover may have set the clock back: a time still ahead of it must not shut everybody out either.
if held[1] and given < math.min(tonumber(held[1]), now) then
  return answer('stale', board, now, tonumber(held[1]), held[2], held[3])
end
local timestamp = string.format('%.0f', given)
redis.call('HSET', GROUPING, 'timestamp', timestamp, 'itemGroups', ARGV[5], 'signatureColors', ARGV[6])
publish(board, now, 'group', { table.concat({ ARGV[3], timestamp, ARGV[5], ARGV[6] }, '\30') })
return answer('grouped', board, now, tonumber(timestamp))
