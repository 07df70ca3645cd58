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
-- RETURNS {"joined"|"rejoined", now, joinedAt, epoch, seq, count, connections}
-- RETURNS {"due"} sweep first | {"full", count} | {"limited", "connections"|"rooms"} a bound of the user
-- RETURNS {"absent", reason} adopt found nobody; why, when still known
-- REPEAT renews the deadline, announces nothing
-- COST O(log n), 12–18 commands
--- @include clock
--- @include room
--- @include expiry
--- @include record
--- @include change
local user, connection, adopting, life = ARGV[2], ARGV[3], ARGV[7] == 'adopt', tonumber(ARGV[5])
local now = clock(ARGV[8])
local capacity, most_connections, most_rooms = string.match(ARGV[6] ~= '' and ARGV[6] or '0,0,0', '^(%d+),(%d+),(%d+)$')
assert(most_rooms, 'BADARG bounds')
local meta, before, record = unpack(redis.call('HMGET', MEMBERS, '', user), 1, 2)
meta = read_meta(meta)
if is_due(meta, now) then
  return {'due'}
end
-- Numbers are handed on as text: Redis writes one out the slow way, as a fraction.
local now_text, deadline = string.format('%d', now), string.format('%d', now + life)
if before then
  record = read_record(before)
  if adopting and has(record.connections, '~' .. connection) then
    return {'absent', ''}
  end
  if most_connections ~= '0' and not has(record.connections, connection) then
    local _, held = string.gsub(record.connections, '\31[^~\31]', '')
    if held >= tonumber(most_connections) then
      return {'limited', 'connections'}
    end
  end
elseif adopting then
  return {'absent', redis.call('HGET', removed_key(), user) or ''}
else
  local count = capacity ~= '0' and redis.call('HLEN', MEMBERS) - 1 or -1
  if count >= tonumber(capacity) then
    return {'full', count}
  end
  if KEYS[8] and most_rooms ~= '0' and redis.call('HLEN', KEYS[8]) >= tonumber(most_rooms) then
    return {'limited', 'rooms'}
  end
  record = { joined_at = tonumber(ARGV[7]) and ARGV[7] or now_text, connections = NO_CONNECTIONS, public = '\30\30' }
end

local public = record.public
if not adopting then
  record.public = renewed_public(public, string.match(ARGV[4], '^([^\30]*)\30([^\30]*)\30(.*)$'))
end
record.seen_at = ''
local added, node = 0, node_key(connection)
-- Before the removals: a key that is emptied loses its expiry.
redis.call('ZADD', DEADLINES, 'GT', deadline, user .. '\31' .. connection)
if string.find(record.connections, '\31~', 1, true) then
--- @include member
  for token in string.gmatch(record.connections, '\31(~[^\31]+)') do
    drop(user, token)
  end
  record.connections = string.gsub(record.connections, '\31~[^\31]+', '')
  remove_gone(now)
  added = -#gone.slots
end
if not has(record.connections, connection) then
  record.connections = record.connections .. connection .. '\31'
  added = added + 1
  redis.call('HINCRBY', node, ROOM, 1)
end
keep(node, life)

meta = meta or new_meta()
local renewing, epoch, seq, count, connections = must_keep(meta, now, life), nil, nil, nil, nil
note_deadline(meta, now + life)
local value = write_record(record)
if not before then
  redis.call('ZADD', ROSTER, record.joined_at, user)
  if KEYS[8] then
    redis.call('HSET', KEYS[8], ROOM, record.joined_at)
  end
  note_member('+', user, record)
elseif record.public ~= public then
  note_member('~', user, record)
end
if #entries > 0 or added ~= 0 then
  epoch, seq, count, connections = publish(meta, now, user, value)
else
  redis.call('HSET', MEMBERS, '', write_meta(meta), user, value)
  epoch, seq, count, connections = position(meta)
end
if renewing then
  keep_room(life)
end
if KEYS[8] then
  keep(KEYS[8], life)
end
return {before and 'rejoined' or 'joined', now, tonumber(record.joined_at), epoch, seq, count, connections}
