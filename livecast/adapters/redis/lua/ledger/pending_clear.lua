-- Note that the other halves of gifts are done.
--
-- ARGV  4 "commit/<tx>" or "refund/<tx>" …
-- Answer  {position, "OK"}
-- Idempotent.

local asked, there, is_there = {unpack(ARGV, 4)}, {}, {}
for i, since in ipairs(#asked > 0 and redis.call('ZMSCORE', key('pending', 'all'), unpack(asked)) or {}) do
  if since and not is_there[asked[i]] then
    is_there[asked[i]] = true
    there[#there + 1] = asked[i]
  end
end
if #there > 0 then
  reserve_positions(#there)
  for _, name in ipairs(there) do
    local kind, tx = string.match(name, '^(%a+)/(.*)$')
    append(next_position(), 'cleared', 'kind', kind, 'tx', tx)
  end
  redis.call('ZREM', key('pending', 'all'), unpack(there))
  redis.call('HDEL', key('pending_gifts', 'all'), unpack(there))
end
return {position, 'OK'}
