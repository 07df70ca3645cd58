#!lua flags=allow-oom
-- Take one connection of a user, or all of them, out of a room at the user's wish.
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
-- ARGV[4] scope word connection, or user: every connection of the user
-- ARGV[5] now_ms ms empty = the clock of Redis
-- RETURNS {"left", stays, epoch, seq, count, connections, now} stays = 1 while the user has other connections
-- RETURNS {"due"} sweep first | {"absent"} the connection was not in the room
-- REPEAT answers "absent"
-- COST O(log n), 8–9 commands while the user stays, else 13–18; everywhere two more, and two a further node
local user, connection, now = ARGV[2], ARGV[3], ARGV[5]
--- @include clock
--- @include room
if due then
  return 'due'
elseif not before then
  return 'absent'
end
--- @include record
--- @include member
local joined_at, held, seen_at, public = read_record(before)
local own = has(held, connection) and connection or has(held, '~' .. connection) and '~' .. connection
if not own then
  return 'absent'
end
--- @include birth
if ARGV[4] == 'user' then
  for token in string.gmatch(held, '[^\31]+') do
    drop(user, token)
    if token ~= own then
      note_connection(user, token, 'left', '')
    end
  end
  held = NO_CONNECTIONS
else
  drop(user, own)
  held = without(held, own)
end
local value
if held == NO_CONNECTIONS then
  remove_user(user, shown_of(public), 'left')
else
  value = joined_at .. '\30' .. held .. '\30' .. seen_at .. '\30' .. public
end
if #gone.slots > 1 then
  -- The user's other sockets may miss the notice: their next heartbeat is told.
  gone.reasons = {user, 'left'}
end
remove_gone(now)
local entries = table.concat(noted, '\29')
--- @include change
return 'left\30' .. (value and 1 or 0) .. '\30' .. position
