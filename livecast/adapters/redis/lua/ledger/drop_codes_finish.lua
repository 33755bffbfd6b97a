-- Make an upload the drop's list of codes, in place of an earlier one.
--
--   codes:<room>/<id> (list)   the code of serial n is its n-th
--
-- ARGV  4 name  5 upload  6 if_changed ("" whatever it is)
-- Answer  {position, "OK", drop}        now or before
--         {position, "REFUSED", code, ""}
-- Idempotent by (drop, upload).

local drop = load_drop(ARGV[4])
if not drop then
  return {position, 'REFUSED', 'unknown_drop', ''}
elseif redis.call('HGET', key('drop', drop.name), 'upload') == ARGV[5] then
  return show_drop(drop)
elseif ARGV[6] ~= '' and tonumber(ARGV[6]) ~= drop.changed then
  return {position, 'REFUSED', 'precondition_failed', ''}
end
local name = ARGV[4] .. '/' .. ARGV[5]
local lines, uploaded, repeated = key('upload', name), key('uploaded', name), key('repeated', name)
local early = drop.state == 'draft' or drop.state == 'announced'
if drop.codes ~= 'list' or not early or redis.call('EXISTS', lines) == 0 or redis.call('EXISTS', repeated) == 1 then
  return {position, 'REFUSED', 'conflict', ''}
end
drop.codes_held = redis.call('LLEN', lines)
restock(drop)
enter_drop(drop, 'codes')
redis.call('RENAME', lines, key('codes', drop.name))
redis.call('PERSIST', key('codes', drop.name))
redis.call('UNLINK', uploaded)
redis.call('HSET', key('drop', drop.name), 'upload', ARGV[5])
return show_drop(drop)
