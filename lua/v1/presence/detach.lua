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
-- RETURNS {"detached", deadline} | {"removed", epoch, seq, count, connections, now} without grace
-- RETURNS {"due"} sweep first | {"absent"} not in the room, or in grace already
-- REPEAT answers "absent": grace is not lengthened
-- COST O(log n), 6–7 commands, and nothing announced; without grace as many as leave
local user, connection, grace, now = ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[6]
--- @include clock
--- @include room
if due then
  return 'due'
end
--- @include record
local joined_at, held, seen_at, public = read_record(before or '')
if not held or not has(held, connection) then
  return 'absent'
end
--- @include birth
held = without(held, connection)
if grace == 0 then
--- @include member
  drop(user, connection)
  local value
  if held == NO_CONNECTIONS then
    remove_user(user, shown_of(public), 'disconnected')
  else
    value = joined_at .. '\30' .. held .. '\30' .. seen_at .. '\30' .. public
  end
  remove_gone(now)
  local entries = table.concat(noted, '\29')
--- @include change
  return 'removed\30' .. position
end
local slot = user .. '\31' .. connection
local deadline = tonumber(redis.call('ZSCORE', DEADLINES, slot))
if deadline - ARGV[5] > tonumber(seen_at ~= '' and seen_at or joined_at) then
  seen_at = string.format('%d', deadline - ARGV[5])
end
deadline = string.format('%d', math.min(deadline, now + grace))
-- In this order: a key that is emptied loses its expiry.
redis.call('ZADD', DEADLINES, deadline, user .. '\31~' .. connection)
redis.call('ZREM', DEADLINES, slot)
local value = joined_at .. '\30' .. held .. '~' .. connection .. '\31\30' .. seen_at .. '\30' .. public
if tonumber(deadline) < tonumber(bound) then
  redis.call('ZADD', DUE, deadline, ROOM)
  redis.call('HSET', MEMBERS, '', string.format('%s\31%d\31%d\31%d', epoch, seq, deadline, kept), user, value)
else
  redis.call('HSET', MEMBERS, user, value)
end
return 'detached\30' .. deadline
