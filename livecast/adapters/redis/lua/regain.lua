#!lua
-- Let an owner whose store lost the end of its log, or all of it, own its shard under a new token; nobody else's shard.
--
-- KEYS  1 owner (string)   the shard's fence token
-- ARGV  1 former token  2 new token
--
-- Answer  1  the new token owns the shard
--         0  somebody else does; nothing was written
-- Atomic as every script is. Not idempotent by itself: a repeat finds the new token, which is not the former one.

local owner = redis.call('GET', KEYS[1])
if owner and owner ~= ARGV[1] and owner ~= ARGV[2] then
  return 0
end
redis.call('SET', KEYS[1], ARGV[2])
return 1
