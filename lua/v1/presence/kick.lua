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
-- RETURNS {"kicked", now, epoch, seq, count, connections, connection, …} the connections put out
-- RETURNS {"due"} sweep first | {"absent"} the user was not in the room
-- REPEAT answers "absent"
-- COST O(k log n) for the user's k connections
--- @include clock
--- @include room
--- @include record
--- @include change
--- @include member
local user = ARGV[2]
local now = clock(ARGV[4])
local stored = redis.call('HMGET', MEMBERS, '', user)
local meta = read_meta(stored[1])
if is_due(meta, now) then
  return {'due'}
end
if not stored[2] then
  return {'absent'}
end
local record = read_record(stored[2])
for token in string.gmatch(record.connections, '[^\31]+') do
  drop(user, token)
  note_connection(user, token, 'kicked', ARGV[3])
end
remove_user(user, shown_of(record.public), 'kicked')
remove_gone(now)
local answer = {'kicked', now, publish(meta, now)}
for _, slot in ipairs(gone.slots) do
  answer[#answer + 1] = string.match(slot, '\31~?(.*)$')
end
return answer
