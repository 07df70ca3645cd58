-- A member's record, the value of one field of the room's `members` hash:
--   joinedAt ␞ connections ␞ seenAt ␞ id ␞ name ␞ data
-- `connections` is ␟c1␟c2␟~c3␟ ('~' = in grace); `seenAt` the last activity of a connection that went into grace.
-- `id`, `name` and `data` are JSON as the client gave them, '' for the default; no script looks inside.
local RECORD = '^(%d+)\30([^\30]*)\30(%d*)\30([^\30]*)\30([^\30]*)\30(.*)$'
local NO_CONNECTIONS = '\31'

local function read_record(text)
  local joined_at, connections, seen_at, id, name, data = string.match(text, RECORD)
  return {
    joined_at = tonumber(joined_at), connections = connections, seen_at = seen_at, id = id, name = name, data = data
  }
end

local function write_record(record)
  return string.format('%.0f\30%s\30%s\30%s\30%s\30%s', record.joined_at, record.connections, record.seen_at,
    record.id, record.name, record.data)
end

-- The connections without `token`, or nil when it is not among them.
local function without(connections, token)
  local from, to = string.find(connections, '\31' .. token .. '\31', 1, true)
  return from and string.sub(connections, 1, from) .. string.sub(connections, to + 1)
end

local function has(connections, token)
  return string.find(connections, '\31' .. token .. '\31', 1, true) ~= nil
end
