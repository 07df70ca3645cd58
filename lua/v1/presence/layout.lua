#!lua flags=allow-oom
-- Agree on what is fixed with the data, the number of partitions; fail where this user of Redis may not publish.
-- KEYS[1] layout string the number of partitions the data was written with
-- KEYS[2] channel channel nobody listens; whoever may not publish here would fail in the middle of a change
-- ARGV[1] partitions count 1–16384
-- RETURNS {"agreed", partitions} the first server to ask decides | {"differs", partitions} what the data has
-- REPEAT changes nothing
-- COST O(1)
redis.call('SPUBLISH', KEYS[2], '')
if redis.call('SET', KEYS[1], ARGV[1], 'NX') then
  return {'agreed', tonumber(ARGV[1])}
end
local stored = tonumber(redis.call('GET', KEYS[1]))
return {stored == tonumber(ARGV[1]) and 'agreed' or 'differs', stored}
