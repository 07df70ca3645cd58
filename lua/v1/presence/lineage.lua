#!lua flags=allow-oom
-- Tell since when this server has been the one that writes: what came before may have lost its end to a failover or restart.
-- KEYS[1] lineage string replication id ␟ since when, µs
-- RETURNS {"since", since} µs of the clock of Redis; 0 where the server does not tell who it is
-- REPEAT tells the same
-- COST O(1), 2 commands, 4 for the first to ask
-- Some servers do not tell, and some do not let everybody ask.
local told = redis.pcall('INFO', 'replication')
local id = type(told) == 'string' and string.match(told, 'master_replid:(%w+)')
if not id then
  return 'since\0300'
end
local known, since = string.match(redis.call('GET', KEYS[1]) or '', '^(%w+)\31(%d+)$')
if known ~= id then
--- @include moment
  since = string.format('%d', moment_us)
  redis.call('SET', KEYS[1], id .. '\31' .. since)
end
return 'since\30' .. since
