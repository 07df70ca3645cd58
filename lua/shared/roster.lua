-- Where a page of a roster (user → joinedAt) begins.

-- Redis orders equal scores byte by byte; Lua's own '<' may follow a locale.
local function before(a, b)
  for i = 1, math.min(#a, #b) do
    local x, y = string.byte(a, i), string.byte(b, i)
    if x ~= y then
      return x < y
    end
  end
  return #a < #b
end

-- The rank of the first member after the cursor, found by halving among those who joined in the cursor's millisecond.
local function first_after(roster, joined_at, user)
  if redis.call('ZSCORE', roster, user) == joined_at then
    return redis.call('ZRANK', roster, user) + 1
  end
  local low = redis.call('ZCOUNT', roster, '-inf', '(' .. joined_at)
  local high = redis.call('ZCOUNT', roster, '-inf', joined_at)
  while low < high do
    local middle = math.floor((low + high) / 2)
    if before(user, redis.call('ZRANGE', roster, middle, middle)[1]) then
      high = middle
    else
      low = middle + 1
    end
  end
  return low
end
