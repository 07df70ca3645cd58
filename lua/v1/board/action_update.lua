#!lua
-- Change an action item and mark it as edited.
-- KEYS[1] meta hash createdAt, version, updatedAt and added: the action items of the last moment
-- KEYS[2] positions hash item → position as JSON
-- KEYS[3] grouping hash itemGroups, signatureColors as JSON and their timestamp, ms
-- KEYS[4] actions hash id → record
-- KEYS[5] votes hash user → group␟number␟…
-- KEYS[6] feed channel of the board's changes
-- ARGV[1] ttl_ms ms life of the whole board without a change or a join
-- ARGV[2] now_ms ms empty = the clock of Redis
-- ARGV[3] id text the item's
-- ARGV[4] task json the new task; empty = as it was
-- ARGV[5] assignee_id json the new assignee; empty = as it was
-- ARGV[6] assignee_name json the assignee's new name; empty = as it was
-- RETURNS {"updated"|"unchanged", now, createdAt, version, updatedAt, id, record}
-- RETURNS {"absent"} there is no such item
-- REPEAT answers "unchanged"
-- COST O(n) for n action items: the change shows all of them; 12 commands
--- @include board
--- @include action
assert(TTL and #ARGV == 6, 'BADARG item')
local id = ARGV[3]
local now = NOW
--- @include clock
local board = open_board(now)
local before = redis.call('HGET', ACTIONS, id)
if not before then
  return { 'absent' }
end
local item = read_action(before)
local task = ARGV[4] ~= '' and ARGV[4] or item.task
local assignee = ARGV[5] ~= '' and ARGV[5] or item.assignee
local name = ARGV[6] ~= '' and ARGV[6] or item.name
if task == item.task and assignee == item.assignee and name == item.name then
  return answer('unchanged', board, now, id, before)
end
item.task, item.assignee, item.name, item.edited = task, assignee, name, '1'
local record = write_action(item)
redis.call('HSET', ACTIONS, id, record)
publish_actions(board, now, 'updated', id)
return answer('updated', board, now, id, record)
