#!lua flags=no-writes
-- Read a whole board as of one moment; that does not prolong its life.
-- KEYS[1] meta hash createdAt, version, updatedAt and added: the action items of the last moment
-- KEYS[2] positions hash item → position as JSON
-- KEYS[3] grouping hash itemGroups, signatureColors as JSON and their timestamp, ms
-- KEYS[4] actions hash id → record
-- KEYS[5] votes hash user → group␟number␟…
-- ARGV[1] now_ms ms empty = the clock of Redis
-- RETURNS {"state", now, createdAt, version, updatedAt, ttl, positions, grouping, actions, votes} ttl ms; positions item, JSON, …; grouping timestamp, itemGroups, signatureColors; actions id, record, …; votes user, group␟number␟…, …
-- RETURNS {"empty", now} there is no board
-- REPEAT changes nothing
-- COST O(n) in the size of the board, 7 commands
local now = ARGV[1]
--- @include clock
local stand = redis.call('HMGET', KEYS[1], 'createdAt', 'version', 'updatedAt')
if not stand[1] then
  return { 'empty', now }
end
local grouping = redis.call('HMGET', KEYS[3], 'timestamp', 'itemGroups', 'signatureColors')
return {
  'state', now, tonumber(stand[1]), tonumber(stand[2]), tonumber(stand[3]), redis.call('PTTL', KEYS[1]),
  redis.call('HGETALL', KEYS[2]), grouping[1] and grouping or {}, redis.call('HGETALL', KEYS[4]),
  redis.call('HGETALL', KEYS[5])
}
