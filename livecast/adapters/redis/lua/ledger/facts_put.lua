-- Keep what the platform says of a user in a room.
--
--   facts:<room>/<user> (string)   the facts, kept for keep_ms
--
-- ARGV  4 room  5 user  6 facts (JSON; "" for none)  7 keep_ms
-- Answer  {position, "OK"}
-- Idempotent. No entry: it is no value, and claims that it let in have entries of their own.

local facts_key = key('facts', ARGV[4] .. '/' .. ARGV[5])
if ARGV[6] == '' then
  redis.call('DEL', facts_key)
else
  redis.call('SET', facts_key, ARGV[6], 'PX', ARGV[7])
end
return {position, 'OK'}
