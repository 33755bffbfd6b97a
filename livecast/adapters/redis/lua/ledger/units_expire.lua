-- Give reserved units back to stock whose time is over by both clocks.
--
-- ARGV  4 room  5 id  6… serials, none twice
-- Answer  {position, "OK", {serial…}}   those that expired by this call
-- Idempotent.

local room, id = ARGV[4], ARGV[5]
local drop = load_drop(room .. '/' .. id)
local over, serials = {}, {}
if drop then
  local agreed = agreed_time()
  for i = 6, #ARGV do
    local unit = load_unit(drop, ARGV[i])
    if unit and unit.state == 'reserved' and unit.expires_at <= agreed then
      over[#over + 1] = unit
      serials[#serials + 1] = unit.serial
    end
  end
  if #over > 0 then
    become(drop, room, id, over, 'expired', {returned = true, freed = true, order_id = '', amount = '', currency = '', reason = ''})
  end
end
return {position, 'OK', serials}
