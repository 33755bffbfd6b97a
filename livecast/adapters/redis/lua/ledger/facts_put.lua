-- Keep what the platform says of a user in a room.
--
--   facts:<room>/<user> (string)   the facts, kept for keep_ms
--
-- ARGV  4 room  5 user  6 facts (JSON; "" for none)  7 keep_ms  8 what has to stand there ("" for none), if anything has
-- Answer  {position, "OK"}, or {position, "OTHER"}: something else stands there, and nothing was written
-- Idempotent. No entry: it is no value, and claims that it let in have entries of their own.

local facts_key = key('facts', ARGV[4] .. '/' .. ARGV[5])
if ARGV[8] and (redis.call('GET', facts_key) or '') ~= ARGV[8] then
  return {position, 'OTHER'}
end
if ARGV[6] == '' then
  redis.call('DEL', facts_key)
else
  redis.call('SET', facts_key, ARGV[6], 'PX', ARGV[7])
end
return {position, 'OK'}
