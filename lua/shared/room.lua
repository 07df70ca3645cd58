-- Opens the room of this call, and the record of its user. Every script that changes a room declares these seven keys and
-- first the argument `room`, and has the locals `user` ('' for nobody) and `now`.
-- A passage (see README.md), which makes
--   epoch, seq, bound, kept   what the room says of itself, the field '' of `members`: epoch ␟ seq ␟ bound ␟ kept; text as
--                             read, nil where there is no room
--                             bound = lower bound of its earliest deadline, the same as its score in `due`; kept = until
--                             when its keys live at least
--   before                    the user's record, see record.lua; false where the user is not there
--   due                       whether something in the room has passed its deadline: sweep before anything is answered
local DEADLINES, MEMBERS, ROSTER, DUE = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local ROOMS, PARTITION, FEED, ROOM = KEYS[5], KEYS[6], KEYS[7], ARGV[1]
local stored = redis.call('HMGET', MEMBERS, '', user)
local epoch, seq, bound, kept = string.match(stored[1] or '', '^(%x+)\31(%d+)\31(%d+)\31(%d+)$')
local before = stored[2]
local due = epoch and now >= tonumber(bound) and redis.call('ZCOUNT', DEADLINES, '-inf', string.format('%d', now)) > 0
