-- Lease due deliveries: of each (endpoint, room) the oldest that waits.
--
-- ARGV  2 lease_ms  3 slots of an endpoint that is not named  4 most in all  then pairs of endpoint, slots
-- Answer  for each: endpoint, seq, delivery, body of the event ("" if it is no longer kept)

local lease_until, otherwise, limit = now + tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local slots = {}
for i = 5, #ARGV, 2 do
  slots[ARGV[i]] = tonumber(ARGV[i + 1])
end
local out, taken = {}, 0
for _, id in ipairs(redis.call('ZRANGEBYSCORE', tag .. 'next', '-inf', ARGV[1])) do
  local free = math.min(slots[id] or otherwise, limit - taken)
  if free > 0 then
    for _, room in ipairs(redis.call('ZRANGEBYSCORE', of('due', id), '-inf', ARGV[1], 'LIMIT', 0, free)) do
      local seq = redis.call('LINDEX', of('queue', id) .. ':' .. room, 0)
      local delivery = redis.call('HGET', of('deliveries', id), seq)
      for _, part in ipairs({id, seq, delivery, body_of(cmsgpack.unpack(delivery)[1]) or ''}) do
        out[#out + 1] = part
      end
      redis.call('ZADD', of('due', id), lease_until, room)
      taken = taken + 1
    end
    advance(id)
  end
end
return out
