-- Note that the other half of a gift is done.
--
-- ARGV  4 "commit/<tx>" or "refund/<tx>"
-- Answer  {position, "OK"}
-- Idempotent.

if redis.call('ZSCORE', key('pending', 'all'), ARGV[4]) then
  local kind, tx = string.match(ARGV[4], '^(%a+)/(.*)$')
  append(next_position(), 'cleared', 'kind', kind, 'tx', tx)
  redis.call('ZREM', key('pending', 'all'), ARGV[4])
  redis.call('HDEL', key('pending_gifts', 'all'), ARGV[4])
end
return {position, 'OK'}
