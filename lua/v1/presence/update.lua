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
-- RETURNS {"updated"|"unchanged", now, epoch, seq, count, connections}
-- RETURNS {"due"} sweep first | {"absent"} the connection is not in the room
-- REPEAT answers "unchanged"
-- COST O(log n), 7 commands
--- @include clock
--- @include room
--- @include record
--- @include change
local user, connection = ARGV[2], ARGV[3]
local now = clock(ARGV[6])
local stored = redis.call('HMGET', MEMBERS, '', user)
local meta = read_meta(stored[1])
if is_due(meta, now) then
  return {'due'}
end
local record = stored[2] and read_record(stored[2])
if not record or not has(record.connections, connection) then
  return {'absent'}
end
local public = renewed_public(record.public, string.match(record.public, '^[^\30]*'), ARGV[4], ARGV[5])
if public == record.public then
  return {'unchanged', now, position(meta)}
end
record.public = public
note_member('~', user, record)
return {'updated', now, publish(meta, now, user, write_record(record))}
