-- Keys outlive the newest deadline they serve (now + life): set to two lives, renewed before half of one is used.
-- Shared keys never live shorter for one room's sake than for another's.
local function keep(key, life)
  if redis.call('PTTL', key) < 1.5 * life then
    redis.call('PEXPIRE', key, 2 * life)
  end
end

-- To be asked before the room is written, and answered by keep_room after.
local function must_keep(meta, now, life)
  if meta.kept < now + 1.5 * life then
    meta.kept = now + 2 * life
    return true
  end
end

local function keep_room(life)
  for i = 1, 3 do
    redis.call('PEXPIRE', KEYS[i], 2 * life)
  end
  keep(KEYS[4], life)
  keep(KEYS[5], life)
end
