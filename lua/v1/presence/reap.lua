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
-- ARGV[7] spare word grace: connections in grace stay until their deadline; empty: all go
-- ARGV[8] now_ms ms empty = the clock of Redis
-- RETURNS {"reaped", now, joined_at, user, removed} the cursor to go on from, an empty user when the room is done
-- RETURNS {"due"} sweep first
-- REPEAT finds nothing more to remove
-- COST O(limit log n)
local user, node, reason, now = '', ARGV[2], ARGV[3], ARGV[8]
--- @include clock
--- @include room
if due then
  return {'due'}
end
--- @include record
--- @include roster
--- @include member
local noted_by_node = PARTITION .. 'node:' .. node
local first = ARGV[4] == '' and 0 or first_after(ROSTER, ARGV[4], ARGV[5])
local page = redis.call('ZRANGE', ROSTER, first, first + ARGV[6] - 1, 'WITHSCORES')
if #page == 0 or redis.call('HEXISTS', noted_by_node, ROOM) == 0 then
  -- Of what is spared the note stays, but for a room that is gone.
  if ARGV[7] == '' or first == 0 then
    redis.call('HDEL', noted_by_node, ROOM)
  end
  return {'reaped', now, 0, '', 0}
end
--- @include birth
local users = {}
for i = 1, #page, 2 do
  users[#users + 1] = page[i]
end
local own = ARGV[7] == '' and '^~?(........)' or '^(........)'
local stay = {}
for i, record in ipairs(redis.call('HMGET', MEMBERS, unpack(users))) do
  local joined_at, held, seen_at, public = read_record(record)
  local left = held
  for token in string.gmatch(held, '[^\31]+') do
    if string.match(token, own) == node then
      left = without(left, token)
      drop(users[i], token)
      note_connection(users[i], token, reason, '')
    end
  end
  if left == NO_CONNECTIONS then
    remove_user(users[i], shown_of(public), reason)
  elseif left ~= held then
    stay[#stay + 1] = users[i]
    stay[#stay + 1] = joined_at .. '\30' .. left .. '\30' .. seen_at .. '\30' .. public
  end
end
if #gone.slots > 0 then
  remove_gone(now)
  if #stay > 0 then
    redis.call('HSET', MEMBERS, unpack(stay))
  end
  local value, entries = nil, table.concat(noted, '\29')
--- @include change
end
return {'reaped', now, tonumber(page[#page]), page[#page - 1], #gone.slots}
