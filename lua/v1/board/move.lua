#!lua
-- Put items of a board where they were moved; the last move of an item holds.
-- KEYS[1] meta hash createdAt, version, updatedAt and added: the action items of the last moment
-- KEYS[2] positions hash item → position as JSON
-- KEYS[3] grouping hash itemGroups, signatureColors as JSON and their timestamp, ms
-- KEYS[4] actions hash id → record
-- KEYS[5] votes hash user → group␟number␟…
-- KEYS[6] feed channel of the board's changes
-- ARGV[1] ttl_ms ms life of the whole board without a change or a join
-- ARGV[2] now_ms ms empty = the clock of Redis
-- ARGV[3] limit count most items a board has
-- ARGV[4...] moves text item, position as JSON, user␞source as JSON; three a move, at most 2000 moves
-- RETURNS {"moved", now, createdAt, version, updatedAt, accepted} accepted = one digit a move, 0 where the board is full; each accepted one raised the version
-- RETURNS {"full", items} none was accepted
-- REPEAT puts the items where they are, under new versions
-- COST O(k) for k moves; 11 commands, one more a 500 moves, one more a move when the board may be full
--- @include board
local limit = tonumber(ARGV[3])
assert(TTL and limit and #ARGV > 3 and #ARGV % 3 == 0, 'BADARG moves')
local now = NOW
--- @include clock
local board = open_board(now)
local space = limit - redis.call('HLEN', POSITIONS)
local crowded = space < (#ARGV - 3) / 3

local new, accepted, places, entries = {}, {}, {}, {}
for i = 4, #ARGV, 3 do
  local item = ARGV[i]
  local fits = true
  if crowded and not new[item] and redis.call('HEXISTS', POSITIONS, item) == 0 then
    fits = space > 0
    if fits then
      space, new[item] = space - 1, true
    end
  end
  accepted[#accepted + 1] = fits and '1' or '0'
  if fits then
    places[#places + 1], places[#places + 2] = item, ARGV[i + 1]
    entries[#entries + 1] = item .. '\30' .. ARGV[i + 1] .. '\30' .. ARGV[i + 2]
  end
end
if #entries == 0 then
  return { 'full', limit - space }
end
for from = 1, #places, 1000 do
  redis.call('HSET', POSITIONS, unpack(places, from, math.min(from + 999, #places)))
end
publish(board, now, 'move', entries, #entries)
return answer('moved', board, now, table.concat(accepted))
