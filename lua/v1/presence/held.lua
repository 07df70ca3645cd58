#!lua flags=no-writes
-- Tell some of the rooms where a node has connections, in one partition.
-- KEYS[1] node hash room → connections of the node there
-- ARGV[1] limit count 1–1000
-- RETURNS {"rooms", room, …} any of them, empty when there are none
-- REPEAT changes nothing
-- COST O(limit)
local answer = redis.call('HRANDFIELD', KEYS[1], ARGV[1])
table.insert(answer, 1, 'rooms')
return answer
