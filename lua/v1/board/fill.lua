#!lua
-- Give items of a board a position where they have none yet.
-- KEYS[1] meta hash createdAt, version, updatedAt and added: the action items of the last moment
-- KEYS[2] positions hash item → position as JSON
-- KEYS[3] grouping hash itemGroups, signatureColors as JSON and their timestamp, ms
-- KEYS[4] actions hash id → record
-- KEYS[5] votes hash user → group␟number␟…
-- KEYS[6] feed channel of the board's changes
-- ARGV[1] ttl_ms ms life of the whole board without a change or a join
-- ARGV[2] now_ms ms empty = the clock of Redis
-- ARGV[3] limit count most items a board has
-- ARGV[4] mode word missing, or init: a first layout, ignored once the board has any position
-- ARGV[5] public json user␞source
-- ARGV[6...] places text item, position as JSON; two an item, at most 2000 items
-- RETURNS {"filled"|"kept", now, createdAt, version, updatedAt, filled, held} filled = items; held = item, position, … that hold instead; kept = nothing was missing
-- RETURNS {"full", items} there is no room for all that are missing, nothing changed
-- REPEAT answers "kept"
-- COST O(k) for k items, 12 commands, two more a 500; O(n) for n items of the board when a first layout is ignored
--- @include board
local limit, mode = tonumber(ARGV[3]), ARGV[4]
assert(TTL and limit and (mode == 'missing' or mode == 'init') and #ARGV % 2 == 1, 'BADARG places')
local now = NOW
--- @include clock
local board = open_board(now)
local count = redis.call('HLEN', POSITIONS)
if mode == 'init' and count > 0 then
  return answer('kept', board, now, {}, redis.call('HGETALL', POSITIONS))
end

local function stored(from, to)
  local items = {}
  for i = from, to, 2 do
    items[#items + 1] = ARGV[i]
  end
  return redis.call('HMGET', POSITIONS, unpack(items))
end

local filled, held, places, entries = {}, {}, {}, { ARGV[5] }
for from = 6, #ARGV, 1000 do
  for j, position in ipairs(stored(from, math.min(from + 999, #ARGV))) do
    local i = from + 2 * (j - 1)
    if position then
      held[#held + 1], held[#held + 2] = ARGV[i], position
    else
      filled[#filled + 1] = ARGV[i]
      places[#places + 1], places[#places + 2] = ARGV[i], ARGV[i + 1]
      entries[#entries + 1] = ARGV[i] .. '\30' .. ARGV[i + 1]
    end
  end
end
if count + #filled > limit then
  return { 'full', count }
elseif #filled == 0 then
  return answer('kept', board, now, {}, held)
end
for from = 1, #places, 1000 do
  redis.call('HSET', POSITIONS, unpack(places, from, math.min(from + 999, #places)))
end
publish(board, now, 'fill', entries)
return answer('filled', board, now, filled, held)
