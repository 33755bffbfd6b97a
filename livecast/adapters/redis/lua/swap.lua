#!lua
-- Put a new fence token in the place of a former one; nobody else's.
--
-- KEYS  1 owner (string)   the shard's fence token
-- ARGV  1 what has to stand there ('': nothing)  2 new token
--
-- Answer  1  the new token stands there, written now or by an earlier call of which the answer was lost
--         0  something else does; nothing was written
-- Atomic as every script is; idempotent, as a new token is never used twice.

local owner = redis.call('GET', KEYS[1]) or ''
if owner == ARGV[2] then
  return 1
end
if owner ~= ARGV[1] then
  return 0
end
redis.call('SET', KEYS[1], ARGV[2])
return 1
