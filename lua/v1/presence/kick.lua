#!lua flags=allow-oom
-- Put every connection of a user out of a room.
-- KEYS[1] deadlines zset user␟connection → deadline, ms
-- KEYS[2] members hash user → record; "" → what the room says of itself
-- KEYS[3] roster zset user → joinedAt, ms
-- KEYS[4] due zset room → lower bound of its earliest deadline, ms
-- KEYS[5] rooms zset room → count
-- KEYS[6] partition stem prefix of the partition's node and user keys
-- KEYS[7] feed channel of the room's changes
-- KEYS[8] users stem prefix of the users' keys; left out when the index is off
-- ARGV[1] room text room id
-- ARGV[2] user text user id
-- ARGV[3] message json what the user is told; empty = the usual text
-- ARGV[4] now_ms ms empty = the clock of Redis
-- RETURNS {"kicked", epoch, seq, count, connections, now, connection, …} the connections put out
-- RETURNS {"due"} sweep first | {"absent"} the user was not in the room
-- REPEAT answers "absent"
-- COST O(k log n) for the user's k connections
local user, now = ARGV[2], ARGV[4]
--- @include clock
--- @include room
if due then
  return 'due'
elseif not before then
  return 'absent'
end
--- @include birth
--- @include record
--- @include member
local _, held, _, public = read_record(before)
local put_out = {}
for token in string.gmatch(held, '[^\31]+') do
  drop(user, token)
  note_connection(user, token, 'kicked', ARGV[3])
  put_out[#put_out + 1] = '\30' .. string.match(token, '^~?(.*)$')
end
remove_user(user, shown_of(public), 'kicked')
remove_gone(now)
local value, entries = nil, table.concat(noted, '\29')
--- @include change
return 'kicked\30' .. position .. table.concat(put_out)
