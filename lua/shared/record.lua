-- A member's record, the value of one field of the room's `members` hash:
--   joinedAt ␞ connections ␞ seenAt ␞ id ␞ name ␞ data
-- `connections` is ␟c1␟c2␟~c3␟ ('~' = in grace); `seenAt` the last activity of a connection that went into grace.
-- `id`, `name` and `data`, together the public part, are JSON as the client gave them, '' for the default; no script looks
-- inside.
local NO_CONNECTIONS = '\31'

-- joinedAt, connections, seenAt and the public part.
local function read_record(text)
  return string.match(text, '^(%d+)\30([^\30]*)\30(%d*)\30(.*)$')
end

local function has(connections, token)
  return string.find(connections, '\31' .. token .. '\31', 1, true) ~= nil
end

-- The connections (or the record) without `token`, or nil when it is not among them.
local function without(connections, token)
  local from, to = string.find(connections, '\31' .. token .. '\31', 1, true)
  return from and string.sub(connections, 1, from) .. string.sub(connections, to + 1)
end
