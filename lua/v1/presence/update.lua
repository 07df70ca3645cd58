#!lua
-- Change a member's public record, at the wish of one of its connections.
-- KEYS[1] deadlines zset user␟connection → deadline, ms
-- KEYS[2] members hash user → record; "" → what the room says of itself
-- KEYS[3] roster zset user → joinedAt, ms
-- KEYS[4] due zset room → lower bound of its earliest deadline, ms
-- KEYS[5] rooms zset room → count
-- KEYS[6] partition stem prefix of the partition's node and user keys
-- KEYS[7] feed channel of the room's changes
-- ARGV[1] room text room id
-- ARGV[2] user text user id
-- ARGV[3] connection text node and connection id
-- ARGV[4] name json the new name; empty = as it was
-- ARGV[5] data json the new data; empty = as it was
-- ARGV[6] now_ms ms empty = the clock of Redis
-- RETURNS {"updated"|"unchanged", epoch, seq, count, connections, now}
-- RETURNS {"due"} sweep first | {"absent"} the connection is not in the room
-- REPEAT answers "unchanged"
-- COST O(log n), 7 commands, 4 when nothing changes
local user, connection, now = ARGV[2], ARGV[3], ARGV[6]
--- @include clock
--- @include room
if due then
  return 'due'
end
--- @include record
--- @include public
local joined_at, held, seen_at, public = read_record(before or '')
if not held or not has(held, connection) then
  return 'absent'
end
local renewed = renewed_public(public, string.match(public, '^[^\30]*'), ARGV[4], ARGV[5])
--- @include birth
local value, entries
if renewed ~= public then
  value = joined_at .. '\30' .. held .. '\30' .. seen_at .. '\30' .. renewed
  entries = '\29~\30' .. user .. '\30' .. joined_at .. '\30' .. renewed
end
--- @include change
return (entries and 'updated\30' or 'unchanged\30') .. position
