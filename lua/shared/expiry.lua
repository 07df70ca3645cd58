-- Keys outlive the newest deadline they serve (now + life): set to two lives, renewed before half of one is used.
-- Shared keys never live shorter for one room's sake than for another's.
local function keep(key, life)
  if redis.call('PTTL', key) < 1.5 * life then
    redis.call('PEXPIRE', key, 2 * life)
    return true
  end
end

local function keep_room(life)
  if keep(KEYS[2], life) then
    redis.call('PEXPIRE', KEYS[1], 2 * life)
    redis.call('PEXPIRE', KEYS[3], 2 * life)
    keep(KEYS[4], life)
    keep(KEYS[5], life)
  end
end
