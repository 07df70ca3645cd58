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
-- RETURNS {"swept", now, next, epoch, seq, count, connections, lasts, user␟connection, …}
--   next = the room's earliest deadline left, -1 when empty; lasts = one digit a connection, 1 when the user left with it;
--   connection with '~' when it was in grace (reason disconnected), without when it timed out
-- RETURNS {"clear", now, next} nothing was due
-- REPEAT answers "clear", or removes the next ones
-- COST O(limit log n)
--- @include clock
--- @include room
--- @include record
--- @include change
--- @include member
local now = clock(ARGV[3])
local slots = redis.call('ZRANGEBYSCORE', DEADLINES, '-inf', string.format('%d', now), 'LIMIT', '0', ARGV[2])

-- The room's next visit: its bound is its earliest deadline again. -1 when nothing is left.
local function settle_bound(meta)
  local earliest = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')[2]
  if earliest then
    meta.bound = tonumber(earliest)
    redis.call('ZADD', KEYS[4], earliest, ARGV[1])
    return meta.bound
  end
  redis.call('ZREM', KEYS[4], ARGV[1])
  return -1
end

if #slots == 0 then
  local meta = read_meta(redis.call('HGET', MEMBERS, ''))
  local upcoming = settle_bound(meta or {})
  if meta then
    redis.call('HSET', MEMBERS, '', write_meta(meta))
  end
  return {'clear', now, upcoming}
end

local users, tokens = {''}, {}
for i = 1, #slots do
  users[i + 1], tokens[i] = string.match(slots[i], '^([^\31]*)\31(.*)$')
end
local stored = redis.call('HMGET', MEMBERS, unpack(users))
local meta = read_meta(stored[1])
local lasts = {}
-- Of users who keep other connections: what is left of the record, and whether one timed out.
local left, timed_out = {}, {}
for i = 1, #tokens do
  local user, token = users[i + 1], tokens[i]
  local told = string.byte(token) ~= 126 and token
  drop(user, token, slots[i])
  local record = left[user] or stored[i + 1]
  local only, shown = string.match(record, '^%d+\30\31([^\31]*)\31\30%d*\30([^\30]*\30[^\30]*)')
  local last = only == token
  if last then
    remove_user(user, shown, (told or timed_out[user]) and 'inactivity_timeout' or 'disconnected', told or nil)
    left[user] = nil
  else
    if told then
      note_connection(user, token, 'inactivity_timeout', '')
      timed_out[user] = true
    end
    left[user] = without(record, token)
  end
  lasts[i] = last and '1' or '0'
end
remove_gone(now, true)
local stay = {}
for user, record in pairs(left) do
  stay[#stay + 1] = user
  stay[#stay + 1] = record
end
if #stay > 0 then
  redis.call('HSET', MEMBERS, unpack(stay))
end
local upcoming = settle_bound(meta)
local answer = {'swept', now, upcoming, publish(meta, now)}
answer[8] = table.concat(lasts)
for i = 1, #slots do
  answer[i + 8] = slots[i]
end
return answer
