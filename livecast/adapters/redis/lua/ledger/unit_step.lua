-- Confirm, release or revoke a unit.
--
-- ARGV  4 room  5 id  6 serial  7 step  8 order_id  9 amount  10 currency  11 reason  12 "1" to return it to stock
--      13 what to say where it was revoked without
-- Answer  {position, "OK", unit, fate}      as it is now, both MessagePack
--         {position, "REFUSED", code, sentence}
-- Idempotent: a unit that is there already is not changed.

local STEPS = {
  confirm = {'confirmed', granted = true, reserved = true},
  release = {'released', reserved = true},
  revoke = {'revoked', granted = true, reserved = true, confirmed = true},
}

local room, id, step = ARGV[4], ARGV[5], ARGV[7]
local drop = load_drop(room .. '/' .. id)
if not drop then
  return {position, 'REFUSED', 'unknown_drop', ''}
end
local unit = load_unit(drop, ARGV[6])
if not unit then
  return {position, 'REFUSED', 'not_found', ''}
end
local target = STEPS[step][1]
if unit.state == target then
  if step == 'confirm' and unit.fate[3] ~= ARGV[8] then
    return {position, 'REFUSED', 'conflict', 'It was confirmed with another order.'}
  elseif step == 'revoke' and ARGV[12] == '1' and unit.fate[7] ~= '1' then
    return {position, 'REFUSED', 'conflict', ARGV[13]}
  end
elseif not STEPS[step][unit.state] then
  return {position, 'REFUSED', 'conflict', 'The unit is ' .. unit.state .. '.'}
else
  become(drop, room, id, {unit}, target, {
    returned = step == 'release' or (step == 'revoke' and ARGV[12] == '1'), freed = step == 'release',
    order_id = ARGV[8], amount = ARGV[9], currency = ARGV[10], reason = ARGV[11],
  })
end
return {position, 'OK', unit.record, cmsgpack.pack(unit.fate)}
