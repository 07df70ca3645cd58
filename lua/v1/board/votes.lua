#!lua flags=no-writes
-- Read the votes of a board, of one user or of everybody.
-- KEYS[1] meta hash createdAt, version, updatedAt
-- KEYS[2] votes hash user → group␟number␟…
-- ARGV[1] user text whose; empty = everybody's
-- RETURNS {"votes", user, group␟number␟…, …}
-- REPEAT changes nothing
-- COST O(1) for one user, O(u) for u users who voted; 2 commands
if redis.call('EXISTS', KEYS[1]) == 0 then
  return { 'votes' }
elseif ARGV[1] == '' then
  local votes = redis.call('HGETALL', KEYS[2])
  table.insert(votes, 1, 'votes')
  return votes
end
local votes = redis.call('HGET', KEYS[2], ARGV[1])
return votes and { 'votes', ARGV[1], votes } or { 'votes' }
