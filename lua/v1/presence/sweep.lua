#!lua flags=allow-oom
-- Remove what has passed its deadline in one room, the earliest first, and note when the room is due again.
-- KEYS[1] deadlines zset user␟connection → deadline, ms
-- KEYS[2] members hash user → record; "" → what the room says of itself
-- KEYS[3] roster zset user → joinedAt, ms
-- KEYS[4] due zset room → lower bound of its earliest deadline, ms
-- KEYS[5] rooms zset room → count
-- KEYS[6] partition stem prefix of the partition's node and user keys
-- KEYS[7] feed channel of the room's changes
-- KEYS[8] users stem prefix of the users' keys; left out when the index is off
-- ARGV[1] room text room id
-- ARGV[2] limit count most connections removed by this call, 1–100
-- ARGV[3] now_ms ms empty = the clock of Redis
-- RETURNS {"swept", next, lasts, epoch, seq, count, connections, now, user␟connection, …}
--   next = the room's earliest deadline left, -1 when empty; lasts = one digit a connection, 1 when the user left with it;
--   connection with '~' when it was in grace (reason disconnected), without when it timed out
-- RETURNS {"clear", next, now} nothing was due
-- REPEAT answers "clear", or removes the next ones
-- COST O(limit log n)
local user, now = '', ARGV[3]
--- @include clock
--- @include room
local now_text = string.format('%d', now)
if not epoch and redis.call('ZCARD', DEADLINES) == 0 then
  -- Its keys have expired by themselves, with nobody there to sweep.
  redis.call('ZREM', DUE, ROOM)
  redis.call('ZREM', ROOMS, ROOM)
  return 'clear\30-1\30' .. now_text
end
--- @include birth
local slots = redis.call('ZRANGEBYSCORE', DEADLINES, '-inf', now_text, 'LIMIT', '0', ARGV[2])
--- @include record
--- @include member
local users, tokens = {}, {}
for i = 1, #slots do
  users[i], tokens[i] = string.match(slots[i], '^([^\31]*)\31(.*)$')
end
local records = #slots > 0 and redis.call('HMGET', MEMBERS, unpack(users)) or {}
local lasts = {}
-- Of users who keep other connections: what is left of the record, and whether one timed out.
local left, timed_out = {}, {}
for i = 1, #slots do
  local user, token = users[i], tokens[i]
  local told = string.byte(token) ~= 126 and token
  drop(user, token, slots[i])
  local record = left[user] or records[i]
  if not record then
    -- Somebody deleted it: the user leaves the roster all the same.
    gone.users[#gone.users + 1] = user
    record = ''
  end
  local only, shown = string.match(record, '^%d+\30\31([^\31]*)\31\30%d*\30([^\30]*\30[^\30]*)')
  if only == token then
    remove_user(user, shown, (told or timed_out[user]) and 'inactivity_timeout' or 'disconnected', told or nil)
    left[user], lasts[i] = nil, '1'
  else
    if told then
      note_connection(user, token, 'inactivity_timeout', '')
      timed_out[user] = true
    end
    left[user], lasts[i] = without(record, token), '0'
  end
end
if #slots > 0 then
  remove_gone(now, true)
end
local stay = {}
for user, record in pairs(left) do
  stay[#stay + 1] = user
  stay[#stay + 1] = record
end
if #stay > 0 then
  redis.call('HSET', MEMBERS, unpack(stay))
end
-- The room's next visit: its bound is its earliest deadline again.
local earliest = redis.call('ZRANGE', DEADLINES, 0, 0, 'WITHSCORES')[2]
if earliest then
  bound = earliest
  redis.call('ZADD', DUE, earliest, ROOM)
else
  redis.call('ZREM', DUE, ROOM)
end
local upcoming, value, entries = earliest or '-1', nil, #slots > 0 and table.concat(noted, '\29') or nil
--- @include change
if not entries then
  return 'clear\30' .. upcoming .. '\30' .. now_text
end
return 'swept\30' .. upcoming .. '\30' .. table.concat(lasts) .. '\30' .. position .. '\30' .. table.concat(slots, '\30')
