#!lua
-- Replace all votes of one user.
-- KEYS[1] meta hash createdAt, version, updatedAt and added: the action items of the last moment
-- KEYS[2] positions hash item → position as JSON
-- KEYS[3] grouping hash itemGroups, signatureColors as JSON and their timestamp, ms
-- KEYS[4] actions hash id → record
-- KEYS[5] votes hash user → group␟number␟…
-- KEYS[6] feed channel of the board's changes
-- ARGV[1] ttl_ms ms life of the whole board without a change or a join
-- ARGV[2] now_ms ms empty = the clock of Redis
-- ARGV[3] limit count most users who vote on a board
-- ARGV[4] user text whose votes they are
-- ARGV[5] public json user␞group␞votes: what the change shows beside the votes
-- ARGV[6] most count most votes of one user
-- ARGV[7...] votes text group, number; two a group, whole numbers from 0, at most `most` in all
-- RETURNS {"voted", now, createdAt, version, updatedAt}
-- RETURNS {"full", users} nothing changed
-- REPEAT votes the same again, under a new version
-- COST O(u) for u users who voted: the change shows everybody's votes; 12 commands
--- @include board
local limit, user, most = tonumber(ARGV[3]), ARGV[4], tonumber(ARGV[6])
assert(TTL and limit and most and #ARGV % 2 == 0, 'BADARG votes')
local total = 0
for i = 8, #ARGV, 2 do
  assert(string.match(ARGV[i], '^%d+$'), 'BADARG votes')
  total = total + tonumber(ARGV[i])
end
assert(total <= most, 'BADARG votes')

local now = NOW
--- @include clock
local board = open_board(now)
local users = redis.call('HLEN', VOTES)
if users >= limit and redis.call('HEXISTS', VOTES, user) == 0 then
  return { 'full', users }
end
local pairs_of = {}
for i = 7, #ARGV do
  pairs_of[#pairs_of + 1] = ARGV[i]
end
redis.call('HSET', VOTES, user, table.concat(pairs_of, '\31'))
local entries, stored = { ARGV[5] .. '\30' .. user }, redis.call('HGETALL', VOTES)
for i = 1, #stored, 2 do
  entries[#entries + 1] = stored[i] .. '\30' .. stored[i + 1]
end
publish(board, now, 'vote', entries)
return answer('voted', board, now)
