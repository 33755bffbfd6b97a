-- Take a gift off its room's board and earnings, and note that its giver is still to be paid back.
--
-- ARGV  4 tx  5 room  6 reason
-- Answer  {position, "OK", gift, at, total, reversed_at, reason}   now or before
--         {position, "REFUSED", "not_found", ""}
-- Idempotent by tx.

local gift_key = key('gift', ARGV[4])
local held = redis.call('HMGET', gift_key, 'gift', 'at', 'total', 'reversed_at', 'reason', 'room', 'broadcast', 'user', 'to',
  'value', 'paid')
if not held[1] or held[6] ~= ARGV[5] then
  return {position, 'REFUSED', 'not_found', ''}
elseif held[4] then
  return {position, 'OK', held[1], tonumber(held[2]), tonumber(held[3]), tonumber(held[4]), held[5]}
end
local gift = {room = held[6], broadcast = held[7], user = held[8], to = held[9]}
local counting = new_counting()
local total = count(counting, gift, -1, -tonumber(held[10]), function(total, at_position)
  append(at_position, 'reversed', 'gift', held[1], 'reason', ARGV[6], 'total', total)
end)
write_counts(counting)
redis.call('HSET', gift_key, 'reversed_at', now, 'reason', ARGV[6], 'total', total)
if held[11] == 'wallet' then
  redis.call('ZADD', key('pending', 'all'), now, 'refund/' .. ARGV[4])
  redis.call('HSET', key('pending_gifts', 'all'), 'refund/' .. ARGV[4], held[1])
end
return {position, 'OK', held[1], tonumber(held[2]), total, now, ARGV[6]}
