-- Keys outlive the newest deadline they serve (now + life): set to two lives, renewed before half of one is used. Shared keys
-- are asked first: they never live shorter for one room's sake than for another's.
-- A passage. It takes what room.lua opened, `life`, `node` = the node's key, `renewing` = whether the room's own keys need
-- it, which `kept` tells, and `rooms` = how many rooms the user's index held before (nil or false: not asked).
local long, enough = 2 * life, 1.5 * life
if renewing then
  for i = 1, 3 do
    redis.call('PEXPIRE', KEYS[i], long)
  end
  for i = 4, 5 do
    if redis.call('PTTL', KEYS[i]) < enough then
      redis.call('PEXPIRE', KEYS[i], long)
    end
  end
end
if redis.call('PTTL', node) < enough then
  redis.call('PEXPIRE', node, long)
end
if KEYS[8] and (rooms == 0 or redis.call('PTTL', KEYS[8]) < enough) then
  redis.call('PEXPIRE', KEYS[8], long)
end
