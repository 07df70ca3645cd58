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
local slots = redis.call('ZRANGEBYSCORE', DEADLINES, '-inf', now, 'LIMIT', 0, ARGV[2])

-- The room's next visit: a lower bound again equal to its earliest deadline.
local function next_deadline()
  local earliest = redis.call('ZRANGE', DEADLINES, 0, 0, 'WITHSCORES')[2]
  if earliest then
    redis.call('ZADD', DUE, earliest, ROOM)
    return tonumber(earliest)
  end
  redis.call('ZREM', DUE, ROOM)
  return -1
end

if #slots == 0 then
  return {'clear', now, next_deadline()}
end

local users, tokens, expired = {''}, {}, {}
for i, slot in ipairs(slots) do
  local user, token = string.match(slot, '^([^\31]*)\31(.*)$')
  tokens[i] = token
  if not expired[user] then
    users[#users + 1] = user
    expired[user] = {}
  end
  table.insert(expired[user], token)
end
local stored = redis.call('HMGET', MEMBERS, unpack(users))
local removed, stay = {}, {}
for i = 2, #users do
  local user, record = users[i], read_record(stored[i])
  local reason = 'disconnected'
  for _, token in ipairs(expired[user]) do
    remove_connection(user, record, token)
    if string.sub(token, 1, 1) ~= '~' then
      reason = 'inactivity_timeout'
      note_connection(user, token, reason, '')
    end
  end
  local last = record.connections == NO_CONNECTIONS
  if last then
    remove_user(user, record, reason)
  else
    stay[#stay + 1] = user
    stay[#stay + 1] = write_record(record)
  end
  for j, token in ipairs(expired[user]) do
    local own = string.sub(token, 1, 1) == '~' and 'disconnected' or 'inactivity_timeout'
    for _, field in ipairs({user, token, own, last and j == #expired[user] and 1 or 0}) do
      removed[#removed + 1] = field
    end
  end
end
remove_gone(now, true)
if #stay > 0 then
  redis.call('HSET', MEMBERS, unpack(stay))
end
local upcoming = next_deadline()
local answer = {'swept', now, upcoming, publish(stored[1], now)}
for _, field in ipairs(removed) do
  answer[#answer + 1] = field
end
return answer
