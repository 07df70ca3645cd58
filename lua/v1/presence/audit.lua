#!lua flags=no-writes
-- Recount a page of one room from its members, and tell what does not agree.
-- KEYS[1] deadlines zset user␟connection → deadline, ms
-- KEYS[2] members hash user → record; "" → what the room says of itself
-- KEYS[3] roster zset user → joinedAt, ms
-- KEYS[4] due zset room → lower bound of its earliest deadline, ms
-- KEYS[5] rooms zset room → count
-- KEYS[6] partition stem prefix of the partition's node keys
-- ARGV[1] room text room id
-- ARGV[2] after_joined_at ms the cursor: go on after this joinedAt …; empty = from the start
-- ARGV[3] after_user text … and this user
-- ARGV[4] limit count users looked at by this call, 1–1000
-- RETURNS {"audited", epoch, seq, members, roster, deadlines, indexed, joined_at, user, connections, what, …}
--   members, roster, deadlines = sizes; indexed = the count in the rooms index, -1 when it is not there; joined_at, user = the
--   cursor to go on from, an empty user at the end; connections = those of this page as node=n/noted,…
--   with noted = the node's own number for the whole room; what = one fault a text
-- REPEAT changes nothing
-- COST O(limit log n)
--- @include roster
local room = ARGV[1]
local epoch, seq, bound = string.match(redis.call('HGET', KEYS[2], '') or '', '^(%x+)\31(%d+)\31(%d+)')
local members = math.max(redis.call('HLEN', KEYS[2]) - 1, 0)
local first = ARGV[2] == '' and 0 or first_after(KEYS[3], ARGV[2], ARGV[3])
local page = redis.call('ZRANGE', KEYS[3], first, first + ARGV[4] - 1, 'WITHSCORES')
local faults, nodes = {}, {}

if first == 0 then
  local earliest, due = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')[2], redis.call('ZSCORE', KEYS[4], room)
  if earliest and (not due or tonumber(due) > tonumber(earliest)) then
    faults[#faults + 1] = 'due: the room is ' .. (due and 'noted later than its earliest deadline' or 'not noted')
  end
  if bound and earliest and tonumber(bound) > tonumber(earliest) then
    faults[#faults + 1] = 'members: the bound is later than the earliest deadline'
  end
  if members > 0 and not epoch then
    faults[#faults + 1] = 'members: the epoch and seq are missing'
  end
end

local function check(user, joined_at, text)
  local noted, connections = string.match(text or '', '^(%d+)\30([^\30]*)\30')
  if not noted then
    faults[#faults + 1] = 'members: no record of ' .. user
    return
  end
  if noted ~= joined_at then
    faults[#faults + 1] = 'roster: another joinedAt for ' .. user
  end
  if connections == '\31' then
    faults[#faults + 1] = 'members: no connection of ' .. user
  end
  for token in string.gmatch(connections, '[^\31]+') do
    local node = string.match(token, '^~?(........)') or '?'
    nodes[node] = (nodes[node] or 0) + 1
    if not redis.call('ZSCORE', KEYS[1], user .. '\31' .. token) then
      faults[#faults + 1] = 'deadlines: none for a connection of ' .. user
    end
  end
end

for i = 1, #page, 2 do
  check(page[i], page[i + 1], redis.call('HGET', KEYS[2], page[i]))
end
local held = {}
for node, connections in pairs(nodes) do
  local noted = redis.call('HGET', KEYS[6] .. 'node:' .. node, room) or 0
  held[#held + 1] = node .. '=' .. connections .. '/' .. noted
end
return {'audited', epoch or '', tonumber(seq or 0), members, redis.call('ZCARD', KEYS[3]), redis.call('ZCARD', KEYS[1]),
  tonumber(redis.call('ZSCORE', KEYS[5], room) or -1), tonumber(page[#page] or 0), page[#page - 1] or '',
  table.concat(held, ','), unpack(faults, 1, math.min(#faults, 100))}
