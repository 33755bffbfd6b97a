-- Book gifts in their rooms, each once, in their order.
--
-- ARGV  4 keep_ms
--       5 tx  6 room  7 broadcast  8 user  9 to  10 value  11 paid  12 at  13 gift (MessagePack) … for each gift
-- Answer  {position, "OK", {at, total} …}   booked now;  {at, total, gift}: booked before, as it was then
-- Idempotent by tx.

local FIRST, WIDTH = 5, 9
local counting, answers = new_counting(), {}

local function book_gift(tx, gift, at, packed)
  local gift_key = key('gift', tx)
  local known = redis.call('HMGET', gift_key, 'at', 'first_total', 'gift')
  if known[1] then
    return {tonumber(known[1]), tonumber(known[2]), known[3]}
  end
  now = tonumber(at) -- of this gift: it is the time of its entry
  local total = count(counting, gift, 1, tonumber(gift.value), function(total, at_position)
    append(at_position, 'gift', 'gift', packed, 'total', total)
  end)
  redis.call('HSET', gift_key, 'gift', packed, 'at', now, 'first_total', total, 'total', total, 'room', gift.room,
    'broadcast', gift.broadcast, 'user', gift.user, 'to', gift.to, 'value', gift.value, 'paid', gift.paid)
  redis.call('PEXPIRE', gift_key, ARGV[4])
  return {now, total}
end

reserve_positions((#ARGV - FIRST + 1) / WIDTH)
for i = FIRST, #ARGV, WIDTH do
  local gift = {room = ARGV[i + 1], broadcast = ARGV[i + 2], user = ARGV[i + 3], to = ARGV[i + 4], value = ARGV[i + 5],
    paid = ARGV[i + 6]}
  answers[#answers + 1] = book_gift(ARGV[i], gift, ARGV[i + 7], ARGV[i + 8])
end
write_counts(counting)
return {position, 'OK', unpack(answers)}
