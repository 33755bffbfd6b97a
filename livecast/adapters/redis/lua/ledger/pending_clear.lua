-- Note that the other halves of gifts are done.
--
-- ARGV  4 "commit/<tx>" or "refund/<tx>" …
-- Answer  {position, "OK"}
-- Idempotent.

for i = 4, #ARGV do
  if redis.call('ZREM', key('pending', 'all'), ARGV[i]) == 1 then
    local kind, tx = string.match(ARGV[i], '^(%a+)/(.*)$')
    append(next_position(), 'cleared', 'kind', kind, 'tx', tx)
    redis.call('HDEL', key('pending_gifts', 'all'), ARGV[i])
  end
end
return {position, 'OK'}
