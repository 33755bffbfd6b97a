-- Book a gift in its room, once.
--
-- ARGV  4 tx  5 room  6 broadcast  7 user  8 to  9 value  10 paid  11 keep_ms  12 gift (MessagePack)
-- Answer  {position, "OK", gift, at, total}   now or before
-- Idempotent by tx.

local gift_key = key('gift', ARGV[4])
local known = redis.call('HMGET', gift_key, 'gift', 'at', 'first_total')
if known[1] then
  return {position, 'OK', known[1], tonumber(known[2]), tonumber(known[3])}
end
local gift = {room = ARGV[5], broadcast = ARGV[6], user = ARGV[7], to = ARGV[8]}
local total = count(gift, 1, tonumber(ARGV[9]), function(total, at_position)
  append(at_position, 'gift', 'gift', ARGV[12], 'total', total)
end)
redis.call('HSET', gift_key, 'gift', ARGV[12], 'at', now, 'first_total', total, 'total', total, 'room', gift.room,
  'broadcast', gift.broadcast, 'user', gift.user, 'to', gift.to, 'value', ARGV[9], 'paid', ARGV[10])
redis.call('PEXPIRE', gift_key, ARGV[11])
return {position, 'OK', ARGV[12], now, total}
