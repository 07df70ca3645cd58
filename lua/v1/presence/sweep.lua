#!lua flags=allow-oom
-- Remove what has passed its deadline in one room, the earliest first, and note when the room is due again.
-- KEYS[1] deadlines zset user␟connection → deadline, ms
-- KEYS[2] members hash user → record; "" → epoch␟seq
-- KEYS[3] roster zset user → joinedAt, ms
-- KEYS[4] due zset room → lower bound of its earliest deadline, ms
-- KEYS[5] rooms zset room → count
-- KEYS[6] partition stem prefix of the partition's node and user keys
-- KEYS[7] feed channel of the room's changes
-- ARGV[1] room text room id
-- ARGV[2] limit count most connections removed by this call, 1–100
-- ARGV[3] now_ms ms empty = the clock of Redis
-- RETURNS {"swept", now, next, epoch, seq, count, connections, user, connection, reason, last, …}
--   next = the room's earliest deadline left, -1 when empty; connection with '~' when it was in grace; last = 1 when the user left
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

-- The room's next visit: a lower bound again equal to its earliest deadline.
local function next_deadline()
  local earliest = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')[2]
  if earliest then
    redis.call('ZADD', KEYS[4], earliest, ARGV[1])
    return tonumber(earliest)
  end
  redis.call('ZREM', KEYS[4], ARGV[1])
  return -1
end

if #slots == 0 then
  return {'clear', now, next_deadline()}
end

local users, tokens = {''}, {}
for i, slot in ipairs(slots) do
  users[i + 1], tokens[i] = string.match(slot, '^([^\31]*)\31(.*)$')
end
local stored = redis.call('HMGET', MEMBERS, unpack(users))
local answer, at = {'swept', now, 0, '', 0, 0, 0}, 7
-- Of users who keep other connections: what is left of the record, and whether one timed out.
local left, timed_out = {}, {}
for i, token in ipairs(tokens) do
  local user, reason = users[i + 1], 'disconnected'
  if string.byte(token) ~= 126 then
    reason = 'inactivity_timeout'
    note_connection(user, token, reason, '')
  end
  drop(user, token)
  local record = without(left[user] or stored[i + 1], token)
  local public = string.match(record, '^%d+\30\31\30%d*\30(.*)$')
  if public then
    remove_user(user, public, timed_out[user] or reason)
    left[user] = nil
  else
    left[user] = record
    timed_out[user] = reason == 'inactivity_timeout' and reason or timed_out[user]
  end
  answer[at + 1], answer[at + 2], answer[at + 3], answer[at + 4] = user, token, reason, public and 1 or 0
  at = at + 4
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
answer[3] = next_deadline()
answer[4], answer[5], answer[6], answer[7] = publish(stored[1], now)
return answer
