-- Forget a shard's entries up to a position: what they led to is kept as it is, and a checkpoint elsewhere stands for them.
--
--   begins (string)   entries up to this position were forgotten
--
-- ARGV  4 upto
-- Answer  {position, "OK", how many}
-- Idempotent.

local upto = tonumber(ARGV[4])
local gone = redis.call('XTRIM', KEYS[3], 'MINID', text(upto + 1) .. '-0')
if gone > 0 and upto > tonumber(redis.call('GET', tag .. 'begins') or '0') then
  redis.call('SET', tag .. 'begins', text(upto))
end
return {position, 'OK', gone}
