-- Freeze a drop's pot, publish the outcome of its draw, or note that its winners were told.
--
-- ARGV  4 name  5 "freeze", "draw" or "told"  6 result
-- Answer  {position, "OK", drop}        now or before
--         {position, "REFUSED", code, sentence, wait_ms}
-- Idempotent.

local drop = load_drop(ARGV[4])
if not drop then
  return {position, 'REFUSED', 'unknown_drop', '', 0}
end
if ARGV[5] == 'told' then
  redis.call('ZREM', key('due', 'all'), 'tell ' .. drop.name)
  return show_drop(drop)
elseif ARGV[5] == 'freeze' then
  if drop.pot == 'frozen' or drop.pot == 'drawn' then
    return show_drop(drop)
  elseif drop.pot ~= 'open' or drop.state == 'cancelled' or (drop.kind == 'draw' and drop.state ~= 'closed') then
    return {position, 'REFUSED', 'conflict', 'There is no pot to freeze.', 0}
  end
  local wait_ms = drop.opened_at + drop.fair_window_ms - agreed_time()
  if drop.state ~= 'closed' and wait_ms > 0 then
    return {position, 'REFUSED', 'conflict', 'The window is open.', wait_ms}
  end
  drop.pot = 'frozen'
else
  if drop.pot == 'drawn' and redis.call('HGET', key('drop', drop.name), 'result') == ARGV[6] then
    return show_drop(drop)
  elseif drop.pot ~= 'frozen' or drop.state == 'cancelled' then
    return {position, 'REFUSED', 'conflict', '', 0}
  end
  drop.pot = 'drawn'
  drop.state = drop.kind == 'draw' and 'settled' or drop.state
  redis.call('HSET', key('drop', drop.name), 'result', ARGV[6])
  redis.call('ZADD', key('due', 'all'), now, 'tell ' .. drop.name)
end
restock(drop)
enter_drop(drop, ARGV[5])
return show_drop(drop)
