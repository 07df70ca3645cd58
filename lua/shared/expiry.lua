-- Keys outlive the newest deadline they serve (now + life): set to two lives, renewed before half of one is used.
-- A passage. It takes what room.lua opened, `life`, `node` = the node's key, and `renewing` = whether the room's own keys need
-- it, which `kept` tells.
local shared = { node, KEYS[8] }
if renewing then
  shared = { node, DUE, ROOMS, KEYS[8] }
  for i = 1, 3 do
    redis.call('PEXPIRE', KEYS[i], 2 * life)
  end
end
-- Shared keys never live shorter for one room's sake than for another's.
for i = 1, #shared do
  if redis.call('PTTL', shared[i]) < 1.5 * life then
    redis.call('PEXPIRE', shared[i], 2 * life)
  end
end
