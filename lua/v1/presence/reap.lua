#!lua flags=allow-oom
-- Remove the connections that a dead node left in one room, walking the roster a page at a time.
-- KEYS[1] deadlines zset user␟connection → deadline, ms
-- KEYS[2] members hash user → record; "" → what the room says of itself
-- KEYS[3] roster zset user → joinedAt, ms
-- KEYS[4] due zset room → lower bound of its earliest deadline, ms
-- KEYS[5] rooms zset room → count
-- KEYS[6] partition stem prefix of the partition's node and user keys
-- KEYS[7] feed channel of the room's changes
-- KEYS[8] users stem prefix of the users' keys; left out when the index is off
-- ARGV[1] room text room id
-- ARGV[2] node text boot id of the dead node
-- ARGV[3] reason word node_lost, server_restart
-- ARGV[4] after_joined_at ms the cursor: go on after this joinedAt …; empty = from the start
-- ARGV[5] after_user text … and this user
-- ARGV[6] limit count users looked at by this call, 1–100
-- ARGV[7] now_ms ms empty = the clock of Redis
-- RETURNS {"reaped", now, joined_at, user, removed} the cursor to go on from, an empty user when the room is done
-- RETURNS {"due"} sweep first
-- REPEAT finds nothing more to remove
-- COST O(limit log n)
--- @include clock
--- @include room
--- @include record
--- @include roster
--- @include change
--- @include member
local node, reason, now = ARGV[2], ARGV[3], clock(ARGV[7])
local meta = read_meta(redis.call('HGET', MEMBERS, ''))
if is_due(meta, now) then
  return {'due'}
end
local held = PARTITION .. 'node:' .. node
local first = ARGV[4] == '' and 0 or first_after(ROSTER, ARGV[4], ARGV[5])
local page = redis.call('ZRANGE', ROSTER, first, first + ARGV[6] - 1, 'WITHSCORES')
if #page == 0 or redis.call('HEXISTS', held, ROOM) == 0 then
  redis.call('HDEL', held, ROOM)
  return {'reaped', now, 0, '', 0}
end
local users = {}
for i = 1, #page, 2 do
  users[#users + 1] = page[i]
end
local stored = redis.call('HMGET', MEMBERS, unpack(users))
local stay = {}
for i = 1, #users do
  local user, record = users[i], read_record(stored[i])
  local connections = record.connections
  for token in string.gmatch(connections, '[^\31]+') do
    if string.match(token, '^~?(........)') == node then
      remove_connection(user, record, token)
      note_connection(user, token, reason, '')
    end
  end
  if record.connections == NO_CONNECTIONS then
    remove_user(user, shown_of(record.public), reason)
  elseif record.connections ~= connections then
    stay[#stay + 1] = user
    stay[#stay + 1] = write_record(record)
  end
end
if #gone.slots > 0 then
  remove_gone(now)
  if #stay > 0 then
    redis.call('HSET', MEMBERS, unpack(stay))
  end
  publish(meta, now)
end
return {'reaped', now, tonumber(page[#page]), page[#page - 1], #gone.slots}
