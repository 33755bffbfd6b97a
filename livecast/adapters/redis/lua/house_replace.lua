#!lua
-- Put a rule in the place of one that somebody has seen; of no other.
--
-- KEYS  1 filters (hash)  2 revision (counter of changes)  3 acts (stream of who did what)
-- ARGV  1 scope  2 SHA-1 of what has to stand there ('': nothing)  3 what is put there ('': nothing)
--       4 how many acts are kept, about  5 the act
--
-- Answer  1 it is done   0 something else stands there; nothing was written
-- Atomic as every script is. Not idempotent: whoever repeats it is told that something else stands there.

local now = redis.call('HGET', KEYS[1], ARGV[1])
if (now and redis.sha1hex(now) or '') ~= ARGV[2] then
  return 0
end
if ARGV[3] == '' then
  redis.call('HDEL', KEYS[1], ARGV[1])
else
  redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
end
redis.call('INCR', KEYS[2])
redis.call('XADD', KEYS[3], 'MAXLEN', '~', ARGV[4], '*', 'a', ARGV[5])
return 1
