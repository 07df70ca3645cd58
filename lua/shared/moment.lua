-- The moment in whole microseconds of Redis' own clock, which no test stands in for. A passage; makes `moment_us`.
local time = redis.call('TIME')
local moment_us = time[1] * 1000000 + time[2]
