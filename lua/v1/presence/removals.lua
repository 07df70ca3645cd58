#!lua flags=no-writes
-- Tell how many users left the rooms of one partition, by day and reason.
-- KEYS[1] partition stem prefix of the partition's keys
-- ARGV[1] days count 1–30, today included
-- ARGV[2] now_ms ms empty = the clock of Redis
-- RETURNS {"removals", now, day, reason, users, …} day = days since the epoch
-- REPEAT changes nothing
-- COST O(days)
local now = ARGV[2]
--- @include clock
local today, answer = math.floor(now / 86400000), {'removals', now}
for day = today - ARGV[1] + 1, today do
  local reasons = redis.call('HGETALL', KEYS[1] .. 'removals:' .. day)
  for i = 1, #reasons, 2 do
    local at = #answer
    answer[at + 1], answer[at + 2], answer[at + 3] = day, reasons[i], tonumber(reasons[i + 1])
  end
end
return answer
