#!lua flags=allow-oom
-- Tell everybody at a board something that is not kept.
-- KEYS[1] meta hash createdAt, version, updatedAt
-- KEYS[2] feed channel of the board's changes
-- ARGV[1] now_ms ms empty = the clock of Redis
-- ARGV[2] event word what is told
-- ARGV[3] payload json as given
-- RETURNS {"relayed", now, createdAt, version, updatedAt} where the board stands, zeros without one; nothing changed
-- REPEAT tells it again
-- COST O(1), 3 commands
local event, payload = ARGV[2], ARGV[3]
assert(#ARGV == 3 and string.match(event, '^[%l-]+$') and string.match(payload, '^[^%z\1-\31]+$'), 'BADARG payload')
local now = ARGV[1]
--- @include clock
local stand = redis.call('HMGET', KEYS[1], 'createdAt', 'version', 'updatedAt')
local created, version, updated = stand[1] or '0', stand[2] or '0', stand[3] or '0'
local head = table.concat({ created, version, updated, string.format('%.0f', now), 'relay' }, '\30')
redis.call('SPUBLISH', KEYS[2], head .. '\29' .. event .. '\30' .. payload)
return { 'relayed', now, tonumber(created), tonumber(version), tonumber(updated) }
