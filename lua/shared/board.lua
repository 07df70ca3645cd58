-- The board of this call, and the only publisher of its changes. Every script that changes a board declares these six keys
-- and two arguments first. One publication carries one change:
--   createdAt ␞ version ␞ updatedAt ␞ now ␞ kind [␝ entry]…                       times in ms; ␞ = U+001E, ␝ = U+001D
--   move     entry = item ␞ position ␞ user ␞ source     entry i of n has the version `version - n + i`
--   fill     user ␞ source, then item ␞ position …       positions that were missing
--   group    user ␞ timestamp ␞ itemGroups ␞ signatureColors
--   vote     user ␞ group ␞ votes ␞ voter, then voter ␞ votes … of everybody
--   actions  what ␞ id (what = added, updated or deleted), then id ␞ record … of all of them, in no order
--   relay    event ␞ payload as JSON                    relay.lua's own: no change, the head is where the board stands
-- position, user, source, group, votes (before voter), itemGroups and signatureColors are JSON as given; the votes of a
-- voter are group ␟ number ␟ group ␟ number … (U+001F); an action item's record is shared/action.lua's.
local META, POSITIONS, GROUPING, ACTIONS, VOTES, FEED = unpack(KEYS, 1, 6)
local TTL, NOW = tonumber(ARGV[1]), ARGV[2]

-- The board as it stands; one that is not there (any more) starts anew, whole and empty.
local function open_board(now)
  local stored = redis.call('HMGET', META, 'createdAt', 'version', 'updatedAt')
  if not stored[1] then
    redis.call('DEL', POSITIONS, GROUPING, ACTIONS, VOTES)
    return { created = now, version = 0, updated = 0 }
  end
  return { created = tonumber(stored[1]), version = tonumber(stored[2]), updated = tonumber(stored[3]) }
end

-- All parts expire at one and the same moment, a TTL from now, on the clock of Redis whatever a test says.
local function keep_board(now)
  local at = string.format('%.0f', (NOW == '' and now or redis.call('TIME')[1] * 1000) + TTL)
  for i = 1, 5 do
    redis.call('PEXPIREAT', KEYS[i], at)
  end
end

-- Raise the version by the number of changes, the time of the last change by a millisecond at least, and publish.
local function publish(board, now, kind, entries, changes)
  board.version = board.version + (changes or 1)
  board.updated = math.max(now, board.updated + 1)
  local created, version = string.format('%.0f', board.created), string.format('%.0f', board.version)
  local updated = string.format('%.0f', board.updated)
  redis.call('HSET', META, 'createdAt', created, 'version', version, 'updatedAt', updated)
  keep_board(now)
  local head = table.concat({ created, version, updated, string.format('%.0f', now), kind }, '\30')
  redis.call('SPUBLISH', FEED, #entries > 0 and head .. '\29' .. table.concat(entries, '\29') or head)
end

-- Every reply goes on after its word with where the board stands, then with what is the script's own.
local function answer(word, board, now, ...)
  return { word, now, board.created, board.version, board.updated, ... }
end
