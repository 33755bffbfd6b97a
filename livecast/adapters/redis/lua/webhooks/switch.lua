-- Disable an endpoint, or enable it again: then what waits is due at once.
--
-- ARGV  2 id  3 why it is disabled; empty: enable it
-- Answer  1, or 0 if there is none

local id, why = ARGV[2], ARGV[3]
if redis.call('HEXISTS', KEYS[1], id) == 0 then
  return 0
end
if why ~= '' then
  disable(id, why)
elseif redis.call('HDEL', tag .. 'off', id) == 1 then
  redis.call('HDEL', tag .. 'failing', id)
  for _, room in ipairs(redis.call('ZRANGE', of('due', id), 0, -1)) do
    redis.call('ZADD', of('due', id), now, room)
  end
  advance(id)
end
return 1
