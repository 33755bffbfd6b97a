-- Forget an endpoint and its deliveries.
--
-- ARGV  2 id
-- Answer  1, or 0 if there is none

local id = ARGV[2]
if redis.call('HDEL', KEYS[1], id) == 0 then
  return 0
end
redis.call('INCR', tag .. 'rev')
for _, room in ipairs(redis.call('ZRANGE', of('due', id), 0, -1)) do
  redis.call('UNLINK', of('queue', id) .. ':' .. room)
end
for _, kind in ipairs({'due', 'deliveries', 'pending', 'delivered', 'dead'}) do
  redis.call('UNLINK', of(kind, id))
end
for _, kind in ipairs({'revs', 'seq', 'off', 'failing'}) do
  redis.call('HDEL', tag .. kind, id)
end
redis.call('ZREM', tag .. 'next', id)
return 1
