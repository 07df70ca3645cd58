#!lua flags=allow-oom
-- Declare nodes dead: one whose lease has run out, or every earlier boot of a name, those declared dead before too.
-- KEYS[1] leases zset node␟name → end of the lease, ms
-- KEYS[2] condemned zset node␟reason␟name → when it was condemned, ms
-- KEYS[3] gone zset node → when it was condemned, ms
-- KEYS[4] retired zset node␟name → when it stopped by itself, ms
-- ARGV[1] node text boot id: with lapsed the one to condemn, with name the one to spare
-- ARGV[2] name text the node's name
-- ARGV[3] which word lapsed, or name: every other boot of that name, whatever its lease
-- ARGV[4] reason word what its users are told: node_lost, server_restart
-- ARGV[5] now_ms ms empty = the clock of Redis
-- RETURNS {"condemned", now, live, node, …} at most 1500; live = how many of them had a lease that had not run out
-- REPEAT condemns nobody twice; by name it tells whoever is still being removed
-- COST O(n) for n nodes, bounded by 1500
local now = ARGV[5]
--- @include clock
local member = ARGV[1] .. '\31' .. ARGV[2]
local answer = {'condemned', now, 0}

local function condemn(node, name)
  local held = node .. '\31' .. name
  local ends_at = redis.call('ZSCORE', KEYS[1], held)
  if ends_at and tonumber(ends_at) > now then
    answer[3] = answer[3] + 1
  end
  redis.call('ZREM', KEYS[1], held)
  redis.call('ZREM', KEYS[4], held)
  redis.call('ZADD', KEYS[2], now, node .. '\31' .. ARGV[4] .. '\31' .. name)
  redis.call('ZADD', KEYS[3], now, node)
  redis.call('PEXPIRE', KEYS[2], 86400000)
  redis.call('PEXPIRE', KEYS[3], 86400000)
  answer[#answer + 1] = node
end

if ARGV[3] == 'lapsed' then
  local ends_at = redis.call('ZSCORE', KEYS[1], member)
  if ends_at and tonumber(ends_at) <= now then
    condemn(ARGV[1], ARGV[2])
  end
  return answer
end
-- Those first: what is condemned now is not to be found again.
for _, found in ipairs(redis.call('ZRANGE', KEYS[2], 0, 499)) do
  local node, name = string.match(found, '^(........)\31[^\31]*\31(.*)$')
  if name == ARGV[2] then
    redis.call('ZREM', KEYS[2], found)
    condemn(node, name)
  end
end
for _, key in ipairs({KEYS[1], KEYS[4]}) do
  for _, found in ipairs(redis.call('ZRANGE', key, 0, 499)) do
    if found ~= member and string.sub(found, 10) == ARGV[2] then
      condemn(string.sub(found, 1, 8), ARGV[2])
    end
  end
end
return answer
