-- Note what became of leased deliveries.
--
-- ARGV  2 delivered ones kept  3 dead ones kept
--       then for each: endpoint, seq, delivery, state, room, next_at, "1" the endpoint took nothing, "0" it did, "" unknown
-- Answer  for each: since when the endpoint has taken nothing, or ""

local kept = {delivered = tonumber(ARGV[2]), dead = tonumber(ARGV[3])}
local out = {}
for i = 4, #ARGV, 7 do
  local id, seq, delivery, state, room, next_at, failed = unpack(ARGV, i, i + 6)
  if redis.call('ZSCORE', of('pending', id), seq) then
    redis.call('HSET', of('deliveries', id), seq, delivery)
    if state == 'pending' then
      redis.call('ZADD', of('due', id), next_at, room)
    else
      local queue = of('queue', id) .. ':' .. room
      redis.call('LREM', queue, 1, seq)
      redis.call('ZREM', of('pending', id), seq)
      redis.call('ZADD', of(state, id), seq, seq)
      local over = redis.call('ZCARD', of(state, id)) - kept[state]
      if over > 0 then
        redis.call('HDEL', of('deliveries', id), unpack(redis.call('ZRANGE', of(state, id), 0, over - 1)))
        redis.call('ZREMRANGEBYRANK', of(state, id), 0, over - 1)
      end
      if redis.call('EXISTS', queue) == 1 then
        redis.call('ZADD', of('due', id), now, room)
      else
        redis.call('ZREM', of('due', id), room)
      end
    end
    if failed == '1' then
      redis.call('HSETNX', tag .. 'failing', id, ARGV[1])
    elseif failed == '0' then
      redis.call('HDEL', tag .. 'failing', id)
    end
    advance(id)
  end
  out[#out + 1] = redis.call('HGET', tag .. 'failing', id) or ''
end
return out
