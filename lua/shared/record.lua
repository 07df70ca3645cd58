-- A member's record, the value of one field of the room's `members` hash:
--   joinedAt ␞ connections ␞ seenAt ␞ id ␞ name ␞ data
-- `connections` is ␟c1␟c2␟~c3␟ ('~' = in grace); `seenAt` the last activity of a connection that went into grace.
-- `id`, `name` and `data`, together the public part, are JSON as the client gave them, '' for the default; no script looks
-- inside.
local NO_CONNECTIONS = '\31'

local function read_record(text)
  local joined_at, connections, seen_at, public = string.match(text, '^(%d+)\30([^\30]*)\30(%d*)\30(.*)$')
  return { joined_at = joined_at, connections = connections, seen_at = seen_at, public = public }
end

local function write_record(record)
  return record.joined_at .. '\30' .. record.connections .. '\30' .. record.seen_at .. '\30' .. record.public
end

-- The connections (or the record) without `token`, or nil when it is not among them.
local function without(connections, token)
  local from, to = string.find(connections, '\31' .. token .. '\31', 1, true)
  return from and string.sub(connections, 1, from) .. string.sub(connections, to + 1)
end

local function has(connections, token)
  return string.find(connections, '\31' .. token .. '\31', 1, true) ~= nil
end

-- What others are told of a member who is gone: id ␞ name.
local function shown_of(public)
  return string.match(public, '^[^\30]*\30[^\30]*')
end

-- The public part with a new id, and with a name and data that are '' where they stay as they were.
local function renewed_public(public, id, name, data)
  assert(data, 'BADARG public')
  if name == '' or data == '' then
    local old_name, old_data = string.match(public, '^[^\30]*\30([^\30]*)\30(.*)$')
    name, data = name ~= '' and name or old_name, data ~= '' and data or old_data
  end
  return id .. '\30' .. name .. '\30' .. (data ~= '{}' and data or '')
end
