#!lua flags=allow-oom
-- Move the deadlines of living connections of one room to now + TTL; tell which are no longer there.
-- KEYS[1] deadlines zset user␟connection → deadline, ms
-- ARGV[1] ttl_ms ms life without a heartbeat
-- ARGV[2] slack_ms ms a deadline that would move by less stays where it is
-- ARGV[3] now_ms ms empty = the clock of Redis
-- ARGV[4...] slots text user␟connection, at most 1000
-- RETURNS {"beat", now, alive} alive = one digit a slot, 1 alive, 0 due or absent
-- REPEAT changes nothing within the slack
-- COST O(k log n) for k slots; 3 commands, 2 when all lie within the slack; once in half a life 5 more, and one a user and a node
local now, count = ARGV[3], #ARGV - 3
--- @include clock
local life, renew_before = ARGV[1] + ARGV[2], now + ARGV[1]
-- A deadline below this was written in an earlier half life. The first write of a slot in each half life also renews the
-- keys' own expiry, so no write has to ask for it.
local this_half = now - now % (life / 2) + life
local alive, stale
if count == 1 then
  -- The call of a lone client, without the tables that many need.
  local score = tonumber(redis.call('ZSCORE', KEYS[1], ARGV[4]) or 0)
  alive = score > now and '1' or '0'
  if score > now and score < renew_before then
    -- As text: Redis writes a number out the slow way, as a fraction.
    redis.call('ZADD', KEYS[1], string.format('%d', now + life), ARGV[4])
    stale = score < this_half and { ARGV[4] }
  end
else
  local scores, digits, moves, n = redis.call('ZMSCORE', KEYS[1], unpack(ARGV, 4)), {}, {}, 0
  local target = string.format('%d', now + life)
  for i = 1, count do
    local score = scores[i] and scores[i] + 0 or 0
    digits[i] = score > now and '1' or '0'
    if score > now and score < renew_before then
      moves[n + 1], moves[n + 2] = target, ARGV[i + 3]
      n = n + 2
      if score < this_half then
        stale = stale or {}
        stale[#stale + 1] = ARGV[i + 3]
      end
    end
  end
  if n > 0 then
    redis.call('ZADD', KEYS[1], unpack(moves))
  end
  alive = table.concat(digits)
end
if stale then
  local partition, room = string.match(KEYS[1], '^(.-{%d+}:)(room:.*:)deadlines$')
  local keys = { [KEYS[1]] = true, [partition .. room .. 'members'] = true, [partition .. room .. 'roster'] = true,
    [partition .. 'due'] = true, [partition .. 'rooms'] = true }
  for _, slot in ipairs(stale) do
    local user, node = string.match(slot, '^([^\31]*)\31(........)')
    keys[partition .. 'user:' .. user] = true
    keys[partition .. 'node:' .. node] = true
  end
  for key in pairs(keys) do
    redis.call('PEXPIRE', key, 2 * life, 'GT')
  end
end
return 'beat\30' .. string.format('%d', now) .. '\30' .. alive
