-- Take a drop to another state.
--
-- ARGV  4 name  5 step  6 "1" if because its time has come
-- Answer  {position, "OK", drop}        it is there now
--         {position, "REFUSED", code, sentence, wait_ms}
-- Idempotent: a drop that is there already is not changed.

local STEPS = {
  announce = {'announced', draft = true},
  open = {'open', draft = true, announced = true},
  pause = {'paused', open = true, sold_out = true},
  resume = {'open', paused = true},
  close = {'closed', open = true, sold_out = true, paused = true},
  cancel = {'cancelled', draft = true, announced = true, open = true, sold_out = true, paused = true, closed = true},
  settle = {'settled', closed = true},
}

local drop, step = load_drop(ARGV[4]), ARGV[5]
if not drop then
  return {position, 'REFUSED', 'unknown_drop', '', 0}
end
local target = STEPS[step][1]
if drop.state == target or (target == 'open' and drop.state == 'sold_out') then
  return show_drop(drop)
elseif not STEPS[step][drop.state] then
  return {position, 'REFUSED', 'conflict', 'A drop that is ' .. drop.state .. ' cannot ' .. step .. '.', 0}
end

if ARGV[6] == '1' then
  local at = step == 'announce' and drop.announce_at or step == 'open' and drop.opens_at or step == 'close' and drop.closes_at
  if not at then
    return {position, 'REFUSED', 'conflict', 'No time is set for that.', 0}
  end
  local wait_ms = at - agreed_time()
  if wait_ms > 0 then
    return {position, 'REFUSED', 'conflict', 'Its time has not come.', wait_ms}
  end
end

if step == 'open' and is_short_of_codes(drop) then
  return {position, 'REFUSED', 'conflict', 'There are fewer codes than stock.', 0}
elseif step == 'settle' and drop.reserved > 0 then
  return {position, 'REFUSED', 'conflict', 'Units are still reserved.', 0}
elseif step == 'settle' and (drop.pot == 'open' or drop.pot == 'frozen') then
  return {position, 'REFUSED', 'conflict', 'Its pot is not drawn.', 0}
end

drop.state = target
if step == 'open' then
  drop.opened_at = now
  drop.pot = (drop.kind == 'draw' or drop.fair_window_ms > 0) and 'open' or ''
elseif step == 'close' or step == 'cancel' then
  drop.closed_at = drop.closed_at or now
end
restock(drop)
enter_drop(drop, step)
return show_drop(drop)
