-- Take or change an order.
--
--   orders:<room> (hash)      order id -> at, identity and order, with line ends between
--   order_ids:<room> (list)   in the order they were first made
--
-- ARGV  4 room  5 order_id  6 order (MessagePack)  7 identity (digest of what may not change)  8 user  9 drop ("" for none)  10 serial
-- Answer  {position, "OK", at, first (1/0), changed (1/0)}
--         {position, "REFUSED", code, ""}
-- Idempotent by (room, order id) and content.

local room, order_id = ARGV[4], ARGV[5]
local known = redis.call('HGET', key('orders', room), order_id)
local at = now
if known then
  local first_at, identity, order = string.match(known, '^(%d+)\n(%x+)\n(.*)$')
  at = tonumber(first_at)
  if order == ARGV[6] then
    return {position, 'OK', at, 0, 0}
  elseif identity ~= ARGV[7] then
    return {position, 'REFUSED', 'conflict', ''}
  end
elseif ARGV[9] ~= '' then
  local unit = redis.call('HGET', key('units', room .. '/' .. ARGV[9]), ARGV[10])
  if not unit or cmsgpack.unpack(unit)[2] ~= ARGV[8] then
    return {position, 'REFUSED', 'not_found', ''}
  end
end
append(next_position(), 'order', 'room', room, 'order', ARGV[6], 'first', known and 0 or 1)
redis.call('HSET', key('orders', room), order_id, text(at) .. '\n' .. ARGV[7] .. '\n' .. ARGV[6])
if not known then
  redis.call('RPUSH', key('order_ids', room), order_id)
end
return {position, 'OK', at, known and 0 or 1, 1}
