-- Send a delivery again that is not pending, behind what waits for its room.
--
-- ARGV  2 endpoint  3 seq
-- Answer  {delivery as it is now}, or {} if it or its event is not there

local id, seq = ARGV[2], ARGV[3]
local packed = redis.call('HGET', of('deliveries', id), seq)
if not packed then
  return {}
end
local delivery = cmsgpack.unpack(packed)
if delivery[6] == 'pending' then
  return {packed}
end
if not body_of(delivery[1]) then
  return {}
end
redis.call('ZREM', of(delivery[6], id), seq)
delivery[5], delivery[6], delivery[7], delivery[8], delivery[9] = now, 'pending', 0, now, now
packed = cmsgpack.pack(delivery)
redis.call('HSET', of('deliveries', id), seq, packed)
enqueue(id, delivery[4], seq)
advance(id)
return {packed}
