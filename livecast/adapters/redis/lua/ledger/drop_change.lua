-- Change a drop: before it opens all of it, later its stock and its end.
--
--   change:<room>/<id>/<tx> (string)   the digest of a change that was made, kept for keep_ms
--
-- ARGV  4 name  5 tx  6 digest  7 keep_ms  8 stock_max  9 stock_delta  10 closes_at ("" as it is, 0 none any more)
--      11 "1" with about  12 about  13 if_changed ("" whatever it is)  14 field  15 value … of whole new terms
-- Answer  {position, "OK", drop}        changed now or before
--         {position, "REFUSED", code, field or sentence}
-- Idempotent by (drop, tx).

local drop = load_drop(ARGV[4])
if not drop then
  return {position, 'REFUSED', 'unknown_drop', ''}
end
local change_key = key('change', ARGV[4] .. '/' .. ARGV[5])
local known = redis.call('GET', change_key)
if known then
  if known ~= ARGV[6] then
    return {position, 'REFUSED', 'conflict', ''}
  end
  return show_drop(drop)
elseif ARGV[13] ~= '' and tonumber(ARGV[13]) ~= drop.changed then
  return {position, 'REFUSED', 'precondition_failed', ''}
end

local early = drop.state == 'draft' or drop.state == 'announced'
local selling = drop.state == 'open' or drop.state == 'sold_out' or drop.state == 'paused'
local whole = ARGV[11] == '1' or #ARGV > 13
if (whole and not early) or (not early and not selling) then
  return {position, 'REFUSED', 'conflict', ''}
end
set_terms(drop, 14)
drop.stock = drop.stock + tonumber(ARGV[9])
if ARGV[10] == '0' then
  drop.closes_at = nil
else
  drop.closes_at = tonumber(ARGV[10]) or drop.closes_at
end
if drop.stock < math.max(1, drop.granted - drop.returned) or drop.stock > tonumber(ARGV[8]) then
  return {position, 'REFUSED', 'invalid', 'stock_delta'}
elseif not early and is_short_of_codes(drop) then
  return {position, 'REFUSED', 'conflict', 'There are fewer codes than that.'}
end
if ARGV[11] == '1' then
  redis.call('HSET', key('drop', drop.name), 'about', ARGV[12])
end
restock(drop)
enter_drop(drop, 'change')
redis.call('SET', change_key, ARGV[6], 'PX', ARGV[7])
return show_drop(drop)
