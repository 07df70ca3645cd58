#!lua flags=no-writes
-- Tell the rooms of a user in one partition.
-- KEYS[1] index hash of the user's rooms → joinedAt
-- KEYS[2] partition stem prefix of the partition's keys
-- ARGV[1] user text user id
-- ARGV[2] now_ms ms empty = the clock of Redis
-- RETURNS {"rooms", now, room, connections, joinedAt, …}
-- RETURNS {"due", room, …} sweep these first
-- REPEAT changes nothing
-- COST O(r log n) for the user's r rooms
local user, now = ARGV[1], ARGV[2]
--- @include clock
local answer, due = {'rooms', now}, {'due'}
for _, room in ipairs(redis.call('HKEYS', KEYS[1])) do
  local stem = KEYS[2] .. 'room:' .. room
  local meta, record = unpack(redis.call('HMGET', stem .. ':members', '', user))
  local bound = string.match(meta or '', '^%x+\31%d+\31(%d+)')
  if bound and now >= tonumber(bound) and redis.call('ZCOUNT', stem .. ':deadlines', '-inf', now) > 0 then
    due[#due + 1] = room
  end
  if record then
    local joined_at, connections = string.match(record, '^(%d+)\30([^\30]*)')
    local at, _, separators = #answer, string.gsub(connections, '\31', '')
    answer[at + 1], answer[at + 2], answer[at + 3] = room, separators - 1, tonumber(joined_at)
  end
end
return #due > 1 and due or answer
