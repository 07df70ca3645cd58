#!lua flags=allow-oom
-- Put a connection that broke off into grace: it lives on until min(deadline, now + grace), whoever sweeps then.
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
-- ARGV[4] grace_ms ms 0 = remove at once
-- ARGV[5] life_ms ms TTL + slack, to tell the last activity from the deadline
-- ARGV[6] now_ms ms empty = the clock of Redis
-- RETURNS {"detached", now, deadline} | {"removed", now, epoch, seq, count, connections} without grace
-- RETURNS {"due"} sweep first | {"absent"} not in the room, or in grace already
-- REPEAT answers "absent": grace is not lengthened
-- COST O(log n), 7 commands; announces nothing unless it removes
--- @include clock
--- @include room
--- @include record
--- @include change
--- @include member
local user, connection, grace = ARGV[2], ARGV[3], tonumber(ARGV[4])
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
if grace == 0 then
  remove_connection(user, record, connection)
  local stays = record.connections ~= NO_CONNECTIONS
  if not stays then
    remove_user(user, shown_of(record.public), 'disconnected')
  end
  remove_gone(now)
  return {'removed', now, publish(meta, now, stays and user, stays and write_record(record))}
end
local slot = user .. '\31' .. connection
local deadline = tonumber(redis.call('ZSCORE', DEADLINES, slot))
local seen_at = deadline - tonumber(ARGV[5])
if seen_at > tonumber(record.seen_at ~= '' and record.seen_at or record.joined_at) then
  record.seen_at = string.format('%d', seen_at)
end
deadline = math.min(deadline, now + grace)
record.connections = without(record.connections, connection) .. '~' .. connection .. '\31'
-- In this order: a key that is emptied loses its expiry.
redis.call('ZADD', DEADLINES, deadline, user .. '\31~' .. connection)
redis.call('ZREM', DEADLINES, slot)
note_deadline(meta, deadline)
redis.call('HSET', MEMBERS, '', write_meta(meta), user, write_record(record))
return {'detached', now, deadline}
