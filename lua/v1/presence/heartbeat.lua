#!lua flags=allow-oom
-- Move the deadlines of living connections of one room to now + TTL; tell which are no longer there.
-- KEYS[1] deadlines zset user␟connection → deadline, ms
-- KEYS[2] partition stem prefix of the partition's keys
-- ARGV[1] room text room id
-- ARGV[2] ttl_ms ms life without a heartbeat
-- ARGV[3] slack_ms ms a deadline that would move by less stays where it is
-- ARGV[4] now_ms ms empty = the clock of Redis
-- ARGV[5...] slots text user␟connection, at most 1000
-- RETURNS {"beat", now, alive} alive = one digit a slot, 1 alive, 0 due or absent
-- REPEAT changes nothing within the slack
-- COST O(k log n) for k slots; 2 commands, one when all lie within the slack
--- @include clock
local now, slack = clock(ARGV[4]), tonumber(ARGV[3])
local life, renew_before = ARGV[2] + slack, now + ARGV[2]
-- A deadline below this was written in an earlier half life. The first write of a slot in each half life also renews the
-- keys' own expiry, so no write has to ask for it.
local this_half = now - now % (life / 2) + life
local slots, scores = ARGV, redis.call('ZMSCORE', KEYS[1], unpack(ARGV, 5))
local alive, moves, n, target, stale = {}, {}, 0, nil, nil
for i = 1, #scores do
  local score = scores[i] and scores[i] + 0 or 0
  if score > now then
    alive[i] = '1'
    if score < renew_before then
      -- As text: a number would be written out as a fraction, once a slot.
      target = target or string.format('%d', now + life)
      moves[n + 1], moves[n + 2] = target, slots[i + 4]
      n = n + 2
      if score < this_half then
        stale = stale or {}
        stale[#stale + 1] = slots[i + 4]
      end
    end
  else
    alive[i] = '0'
  end
end
if n > 0 then
  redis.call('ZADD', KEYS[1], unpack(moves))
end
if stale then
  local room = KEYS[2] .. 'room:' .. ARGV[1]
  local keys = { [KEYS[1]] = true, [room .. ':members'] = true, [room .. ':roster'] = true,
    [KEYS[2] .. 'due'] = true, [KEYS[2] .. 'rooms'] = true }
  for _, slot in ipairs(stale) do
    local user, node = string.match(slot, '^([^\31]*)\31(........)')
    keys[KEYS[2] .. 'user:' .. user] = true
    keys[KEYS[2] .. 'node:' .. node] = true
  end
  for key in pairs(keys) do
    redis.call('PEXPIRE', key, 2 * life, 'GT')
  end
end
return {'beat', now, table.concat(alive)}
