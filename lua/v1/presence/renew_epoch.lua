#!lua flags=allow-oom
-- Give a room another epoch where it is older than the server that writes, so that no position is borne by two changes.
-- KEYS[1] deadlines zset user␟connection → deadline, ms
-- KEYS[2] members hash user → record; "" → what the room says of itself
-- KEYS[3] roster zset user → joinedAt, ms
-- KEYS[4] due zset room → lower bound of its earliest deadline, ms
-- KEYS[5] rooms zset room → count
-- KEYS[6] partition stem prefix of the partition's node and user keys
-- KEYS[7] feed channel of the room's changes
-- ARGV[1] room text room id
-- ARGV[2] since µs what lineage.lua told
-- ARGV[3] now_ms ms empty = the clock of Redis
-- RETURNS {"renewed"|"kept", epoch, seq, count, connections, now}
-- RETURNS {"due"} sweep first | {"absent"} there is no such room
-- REPEAT answers "kept"
-- COST O(1), 4 commands, 7 when it renews
local user, now = '', ARGV[3]
--- @include clock
--- @include room
if due then
  return 'due'
elseif not epoch then
  return 'absent'
end
local value, entries
if tonumber(epoch, 16) < tonumber(ARGV[2]) then
--- @include moment
  epoch, entries = string.format('%x', moment_us), ''
end
--- @include change
return (entries and 'renewed\30' or 'kept\30') .. position
