#!lua
-- Add an action item; the same task for the same assignee within half a second is one item.
-- KEYS[1] meta hash createdAt, version, updatedAt and added: the action items of the last moment
-- KEYS[2] positions hash item → position as JSON
-- KEYS[3] grouping hash itemGroups, signatureColors as JSON and their timestamp, ms
-- KEYS[4] actions hash id → record
-- KEYS[5] votes hash user → group␟number␟…
-- KEYS[6] feed channel of the board's changes
-- ARGV[1] ttl_ms ms life of the whole board without a change or a join
-- ARGV[2] now_ms ms empty = the clock of Redis
-- ARGV[3] limit count most action items a board has
-- ARGV[4] id text the new item's
-- ARGV[5] item json task␞assigneeId␞assigneeName␞createdBy
-- ARGV[6] same text what makes two items the same: task␞assignee in one spelling
-- RETURNS {"added", now, createdAt, version, updatedAt, id, record}
-- RETURNS {"duplicate", now, createdAt, version, updatedAt, id, record} the item that is there already; nothing changed
-- RETURNS {"full", items} nothing changed
-- REPEAT answers "duplicate": within half a second by what it says, later by its id
-- COST O(n) for n action items: the change shows all of them; 15 commands
--- @include board
--- @include action
local WINDOW_MS = 500
local limit, id = tonumber(ARGV[3]), ARGV[4]
assert(TTL and limit and id ~= '' and string.match(ARGV[5], '^[^\30]+\30[^\30]+\30[^\30]+\30[^\30]+$'), 'BADARG item')
local now = NOW
--- @include clock
local board = open_board(now)
local digest = redis.sha1hex(ARGV[6])

-- The items of the last half second, as they were added: at ␟ id ␟ digest, ␞ between them.
local recent, known = {}, id
for at, earlier, what in string.gmatch(redis.call('HGET', META, 'added') or '', '(%d+)\31([^\31]+)\31(%x+)') do
  if math.abs(now - at) <= WINDOW_MS then
    recent[#recent + 1] = at .. '\31' .. earlier .. '\31' .. what
    if what == digest then
      known = earlier
    end
  end
end
local record = redis.call('HGET', ACTIONS, known)
if record then
  return answer('duplicate', board, now, known, record)
end
local count = redis.call('HLEN', ACTIONS)
if count >= limit then
  return { 'full', count }
end
record = string.format('%.0f\30%.0f\0300\30%s', board.version + 1, now, ARGV[5])
recent[#recent + 1] = string.format('%.0f\31%s\31%s', now, id, digest)
redis.call('HSET', ACTIONS, id, record)
redis.call('HSET', META, 'added', table.concat(recent, '\30'))
publish_actions(board, now, 'added', id)
return answer('added', board, now, id, record)
