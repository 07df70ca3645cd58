-- Who a chat room belongs to: createdAt ␞ phone ␞ title ␞ rank ␞ name ␞ leads. Title, name and leads are JSON as given.
-- `rank` tells where the name is from: 3 = the customer's own, 2 = the title, 1 = the lead's, 0 = made from the phone.
-- What a call brings along (details): phone ␞ title ␞ rank ␞ name ␞ leads; title and leads empty = not given.
local DETAILS = '^(%d+)\30([^\30]*)\30(%d)\30([^\30]*)\30([^\30]*)$'

-- A name replaces one of the same or a lower rank; a title or leads once given stay until others are given.
local function merged_info(info, details, now)
  local phone, title, rank, name, leads = string.match(details, DETAILS)
  if not phone then
    return error('BADARG details')
  end
  local created = string.format('%.0f', now)
  if info then
    local had = { string.match(info, '^(%d+)\30' .. string.sub(DETAILS, 2)) }
    created, phone = had[1], had[2]
    title = title ~= '' and title or had[3]
    leads = leads ~= '' and leads or had[6]
    if rank < had[4] then
      rank, name = had[4], had[5]
    end
  elseif title == '' then
    title = '"Personal"'
  end
  return table.concat({created, phone, title, rank, name, leads}, '\30')
end
