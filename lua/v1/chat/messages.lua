#!lua flags=no-writes
-- List the newest messages of a chat room, or the newest ones before a seq.
-- KEYS[1] state hash the room's state; only its existence counts
-- KEYS[2] messages stream seq-0 → t = time in ms, b = body
-- ARGV[1] before seq list what lies before it; empty = from the newest
-- ARGV[2] limit count 1–1000
-- RETURNS {"messages", more, seq, at, body, …} newest first; more = 1 when older ones are kept | {"unknown"}
-- REPEAT changes nothing
-- COST O(log n + limit)
if redis.call('EXISTS', KEYS[1]) == 0 then
  return {'unknown'}
end
local limit = tonumber(ARGV[2])
local from = ARGV[1] == '' and '+' or string.format('%.0f', ARGV[1] - 1)
local found = redis.call('XREVRANGE', KEYS[2], from, '-', 'COUNT', limit + 1)
local answer = {'messages', #found > limit and 1 or 0}
for i = 1, math.min(#found, limit) do
  local at, entry = #answer, found[i]
  answer[at + 1] = tonumber(string.match(entry[1], '^%d+'))
  answer[at + 2], answer[at + 3] = tonumber(entry[2][2]), entry[2][4]
end
return answer
