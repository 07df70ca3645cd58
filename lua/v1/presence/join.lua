#!lua
-- Join one connection of a user to a room, or let it adopt the user's entry there.
-- KEYS[1] deadlines zset user␟connection → deadline, ms
-- KEYS[2] members hash user → record; "" → what the room says of itself
-- KEYS[3] roster zset user → joinedAt, ms
-- KEYS[4] due zset room → lower bound of its earliest deadline, ms
-- KEYS[5] rooms zset room → count
-- KEYS[6] partition stem prefix of the partition's node and user keys
-- KEYS[7] feed channel of the room's changes
-- KEYS[8] index hash of the user's rooms → joinedAt; left out when the index is off
-- ARGV[1] room text room id
-- ARGV[2] user text user id
-- ARGV[3] connection text node (8 characters) and connection id
-- ARGV[4] public text id␞name␞data as JSON; id empty = the user id as a string, name and data empty = as they were
-- ARGV[5] life_ms ms TTL + slack: the new deadline is now + this
-- ARGV[6] bounds text capacity,connections,rooms: most users here, live connections of the user here, rooms of the user; 0, empty = no bound
-- ARGV[7] mode word join; adopt: only where the user is already present; a joinedAt in ms: join as of then, after a loss of data
-- ARGV[8] now_ms ms empty = the clock of Redis
-- RETURNS {"joined"|"rejoined", joinedAt, epoch, seq, count, connections, now}, and where it adopts id, name, data
-- RETURNS {"due"} sweep first | {"full", count} | {"limited", "connections"|"rooms"} a bound of the user
-- RETURNS {"absent", reason} adopt found nobody; why, when still known
-- REPEAT renews the deadline, announces nothing
-- COST O(log n), 7–11 commands, up to 14 with the index; 26 for the first of a room
local user, connection, mode, life, now = ARGV[2], ARGV[3], ARGV[7], tonumber(ARGV[5]), ARGV[8]
--- @include clock
--- @include room
if due then
  return 'due'
end
assert(#connection > 8, 'BADARG connection')
local capacity, most_connections, most_rooms = '0', '0', '0'
if ARGV[6] ~= '' then
  capacity, most_connections, most_rooms = string.match(ARGV[6], '^(%d+),(%d+),(%d+)$')
  assert(most_rooms, 'BADARG bounds')
end
local joined_at, held, public, shown, rooms, _
if before then
--- @include record
--- @include public
  joined_at, held, _, public = read_record(before)
  if mode == 'adopt' and has(held, '~' .. connection) then
    return 'absent\30'
  end
  if most_connections ~= '0' and not has(held, connection) then
    local _, live = string.gsub(held, '\31[^~\31]', '')
    if live >= tonumber(most_connections) then
      return 'limited\30connections'
    end
  end
  shown = mode == 'adopt' and public
    or renewed_public(public, string.match(ARGV[4], '^([^\30]*)\30([^\30]*)\30(.*)$'))
elseif mode == 'adopt' then
  return 'absent\30' .. (redis.call('HGET', PARTITION .. 'room:' .. ROOM .. ':removed', user) or '')
else
  local count = capacity ~= '0' and redis.call('HLEN', MEMBERS) - 1 or -1
  if count >= tonumber(capacity) then
    return 'full\30' .. count
  end
  rooms = KEYS[8] and most_rooms ~= '0' and redis.call('HLEN', KEYS[8])
  if rooms and rooms >= tonumber(most_rooms) then
    return 'limited\30rooms'
  end
  assert(string.find(ARGV[4], '\30[^\30]*\30'), 'BADARG public')
  joined_at, held = tonumber(mode) and mode or string.format('%d', now), '\31'
  shown = string.sub(ARGV[4], -3) == '\30{}' and string.sub(ARGV[4], 1, -3) or ARGV[4]
end

--- @include birth
-- As text: Redis writes a number out the slow way, as a fraction.
local deadline, added = string.format('%d', now + life), 0
-- Before the removals: a key that is emptied loses its expiry.
redis.call('ZADD', DEADLINES, 'GT', deadline, user .. '\31' .. connection)
if before and string.find(held, '\31~', 1, true) then
--- @include member
  held = string.gsub(held, '\31(~[^\31]+)', function(token)
    drop(user, token)
    return ''
  end)
  remove_gone(now)
  added = -#gone.slots
end
local node = PARTITION .. 'node:' .. string.sub(connection, 1, 8)
if not string.find(held, '\31' .. connection .. '\31', 1, true) then
  held = held .. connection .. '\31'
  added = added + 1
  redis.call('HINCRBY', node, ROOM, 1)
end

-- See expiry.lua, which acts on it once the keys are there.
local renewing = tonumber(kept) < now + 1.5 * life
kept = renewing and now + 2 * life or kept
if now + life < tonumber(bound) then
  bound = deadline
  redis.call('ZADD', DUE, deadline, ROOM)
end
local value = joined_at .. '\30' .. held .. '\30\30' .. shown
local sign = not before and '+' or shown ~= public and '~'
local entries = sign and '\29' .. sign .. '\30' .. user .. '\30' .. joined_at .. '\30' .. shown or added ~= 0 and '' or nil
if not before then
  redis.call('ZADD', ROSTER, joined_at, user)
  if KEYS[8] then
    redis.call('HSET', KEYS[8], ROOM, joined_at)
  end
end
--- @include change
--- @include expiry
return (before and 'rejoined\30' or 'joined\30') .. joined_at .. '\30' .. position
  .. (mode == 'adopt' and '\30' .. shown or '')
