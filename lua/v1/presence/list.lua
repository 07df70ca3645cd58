#!lua flags=no-writes
-- List one page of a room's members in the order (joinedAt, user), with the room's position.
-- KEYS[1] deadlines zset user␟connection → deadline, ms
-- KEYS[2] members hash user → record; "" → what the room says of itself
-- KEYS[3] roster zset user → joinedAt, ms
-- ARGV[1] after_joined_at ms the cursor: list what comes after this joinedAt …; empty = from the start
-- ARGV[2] after_user text … and this user
-- ARGV[3] limit count 0–1000
-- ARGV[4] detail word full = with the newest deadline of each member's live connections, else names
-- ARGV[5] now_ms ms empty = the clock of Redis
-- RETURNS {"page", now, epoch, seq, count, connections, more, user, record, deadline, …}; more = 1 when members follow; deadline 0 when not asked for or in grace
-- RETURNS {"due"} sweep first
-- REPEAT changes nothing
-- COST O(log n + limit), O(log² n) more with a cursor whose member has left
--- @include roster
local now = ARGV[5]
--- @include clock
local meta = redis.call('HGET', KEYS[2], '')
if not meta then
  return {'page', now, '', 0, 0, 0, 0}
end
local epoch, seq, bound = string.match(meta, '^(%x+)\31(%d+)\31(%d+)')
if now >= tonumber(bound) and redis.call('ZCOUNT', KEYS[1], '-inf', now) > 0 then
  return {'due'}
end

local first, limit = ARGV[1] == '' and 0 or first_after(KEYS[3], ARGV[1], ARGV[2]), tonumber(ARGV[3])
local count, users = redis.call('HLEN', KEYS[2]) - 1, {}
local more = first < count
if limit > 0 then
  -- One more than is told, which tells whether there are more.
  users = redis.call('ZRANGE', KEYS[3], first, first + limit)
  more = #users > limit
  users[limit + 1] = nil
end
local answer = {'page', now, epoch, tonumber(seq), count, redis.call('ZCARD', KEYS[1]), more and 1 or 0}
if #users == 0 then
  return answer
end
local records = redis.call('HMGET', KEYS[2], unpack(users))
local slots, owners, newest = {}, {}, {}
if ARGV[4] == 'full' then
  for i = 1, #users do
    for connection in string.gmatch(string.match(records[i] or '', '\30([^\30]*)') or '', '[^\31]+') do
      if string.sub(connection, 1, 1) ~= '~' then
        slots[#slots + 1], owners[#owners + 1] = users[i] .. '\31' .. connection, i
      end
    end
  end
end
for from = 1, #slots, 1000 do
  local to = math.min(from + 999, #slots)
  for j, deadline in ipairs(redis.call('ZMSCORE', KEYS[1], unpack(slots, from, to))) do
    local owner = owners[from + j - 1]
    newest[owner] = math.max(newest[owner] or 0, tonumber(deadline))
  end
end
for i, user in ipairs(users) do
  -- Without a record, somebody deleted it: the count knows nothing of the user either.
  if records[i] then
    local at = #answer
    answer[at + 1], answer[at + 2], answer[at + 3] = user, records[i], newest[i] or 0
  end
end
return answer
