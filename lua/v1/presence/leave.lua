#!lua flags=allow-oom
-- Take one connection of a user, or all of them, out of a room at the user's wish.
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
-- ARGV[3] connection text node and connection id
-- ARGV[4] scope word connection, or user: every connection of the user
-- ARGV[5] now_ms ms empty = the clock of Redis
-- RETURNS {"left", now, epoch, seq, count, connections, stays} stays = 1 while the user has other connections
-- RETURNS {"due"} sweep first | {"absent"} the connection was not in the room
-- REPEAT answers "absent"
-- COST O(log n), 10–14 commands
--- @include clock
--- @include room
--- @include record
--- @include change
--- @include member
local user, connection = ARGV[2], ARGV[3]
local now = clock(ARGV[5])
local stored = redis.call('HMGET', MEMBERS, '', user)
local meta = read_meta(stored[1])
if is_due(meta, now) then
  return {'due'}
end
local record = stored[2] and read_record(stored[2])
local own = record and (has(record.connections, connection) and connection
  or has(record.connections, '~' .. connection) and '~' .. connection)
if not own then
  return {'absent'}
end
if ARGV[4] == 'user' then
  for token in string.gmatch(record.connections, '[^\31]+') do
    drop(user, token)
    if token ~= own then
      note_connection(user, token, 'left', '')
    end
  end
  record.connections = NO_CONNECTIONS
else
  remove_connection(user, record, own)
end
local stays = record.connections ~= NO_CONNECTIONS
if not stays then
  remove_user(user, shown_of(record.public), 'left')
end
if #gone.slots > 1 then
  -- The user's other sockets may miss the notice: their next heartbeat is told.
  gone.reasons = {user, 'left'}
end
remove_gone(now)
local epoch, seq, count, connections = publish(meta, now, stays and user, stays and write_record(record))
return {'left', now, epoch, seq, count, connections, stays and 1 or 0}
