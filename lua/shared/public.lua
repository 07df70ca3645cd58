-- The public part of a record (see record.lua) with a new id, and with a name and data that are '' where they stay as
-- they were.
local function renewed_public(public, id, name, data)
  assert(data, 'BADARG public')
  if name == '' or data == '' then
    local old_name, old_data = string.match(public, '^[^\30]*\30([^\30]*)\30(.*)$')
    name, data = name ~= '' and name or old_name, data ~= '' and data or old_data
  end
  return id .. '\30' .. name .. '\30' .. (data ~= '{}' and data or '')
end
