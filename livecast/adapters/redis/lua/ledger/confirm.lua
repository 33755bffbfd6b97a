#!lua
-- Open a closed shard again as it is. Its position goes on above all that were ever seen, so that no process finds it behind.
--
-- KEYS  1 barrier  2 closed  3 ledger   as in prelude.lua, which this operation does not begin with
-- ARGV  1 step   how far above
--       2 now
-- Answer  {position, "OK"}
-- Idempotent: an open shard is not changed.

local stands = tonumber(redis.call('GET', KEYS[1]) or '0')
local closed = redis.call('HMGET', KEYS[2], 'seen', 'stood')
if not closed[1] then
  return {stands, 'OK'}
end
local last = redis.call('XREVRANGE', KEYS[3], '+', '-', 'COUNT', 1)[1]
local entered = last and tonumber(string.match(last[1], '^%d+')) or 0
local position = math.max(stands, tonumber(closed[1]), entered) + tonumber(ARGV[1])
redis.call('SET', KEYS[1], string.format('%.0f', position))
redis.call('XADD', KEYS[3], string.format('%.0f-0', position), 'k', 'confirmed', 'at', ARGV[2], 'seen', closed[1], 'was', closed[2])
redis.call('DEL', KEYS[2])
return {position, 'OK'}
