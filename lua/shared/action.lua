-- An action item's record, the value of one field of the board's `actions` hash:
--   order ␞ createdAt ␞ edited ␞ task ␞ assigneeId ␞ assigneeName ␞ createdBy
-- `order` is the version that added it, `createdAt` ms, `edited` 0 or 1; the rest is JSON as given, no script looks inside.
local RECORD = '^(%d+)\30(%d+)\30([01])\30([^\30]*)\30([^\30]*)\30([^\30]*)\30(.*)$'

local function read_action(text)
  local order, created_at, edited, task, assignee, name, created_by = string.match(text, RECORD)
  return {
    order = order, created_at = created_at, edited = edited, task = task, assignee = assignee, name = name,
    created_by = created_by
  }
end

local function write_action(item)
  return table.concat({ item.order, item.created_at, item.edited, item.task, item.assignee, item.name, item.created_by },
    '\30')
end

-- Publish the whole array: what a client is told is always complete.
local function publish_actions(board, now, what, id)
  local entries, stored = { what .. '\30' .. id }, redis.call('HGETALL', ACTIONS)
  for i = 1, #stored, 2 do
    entries[#entries + 1] = stored[i] .. '\30' .. stored[i + 1]
  end
  publish(board, now, 'actions', entries)
end
