-- Make a drop.
--
-- ARGV  4 room  5 id  6 made (digest of all but the secret)  7 about  8 secret  9 field  10 value … of its terms
-- Answer  {position, "OK", drop}        made now or before
--         {position, "REFUSED", "conflict", ""}
-- Idempotent by (room, id).

local name = ARGV[4] .. '/' .. ARGV[5]
local known = load_drop(name)
if known then
  if redis.call('HGET', key('drop', name), 'made') ~= ARGV[6] then
    return {position, 'REFUSED', 'conflict', ''}
  end
  return show_drop(known)
end
local drop = {
  name = name, state = 'draft', pot = '', granted = 0, returned = 0, reserved = 0, created_at = now, codes_held = 0,
  entrants = 0, sold_out_times = 0,
}
set_terms(drop, 9)
redis.call('HSET', key('drop', name), 'room', ARGV[4], 'id', ARGV[5], 'about', ARGV[7], 'result', '', 'secret', ARGV[8], 'made',
  ARGV[6], 'upload', '')
redis.call('ZADD', key('drops', ARGV[4]), position, ARGV[5])
restock(drop)
enter_drop(drop, 'create')
return show_drop(drop)
