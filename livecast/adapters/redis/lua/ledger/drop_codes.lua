-- Lines of an upload of codes. They count for nothing until the upload is finished.
--
--   upload:<room>/<id>/<upload> (list)    its lines, forgotten an hour after the last
--   uploaded:… (set)                      the same, to find repeats
--   repeated:… (list)                     numbers of lines that repeat an earlier one
--
-- ARGV  4 name  5 upload  6 offset  7 shown_max  8 ttl_ms  9… codes
-- Answer  {position, "OK", lines, {repeated…}}
--         {position, "REFUSED", code, ""}

local drop = load_drop(ARGV[4])
if not drop then
  return {position, 'REFUSED', 'unknown_drop', ''}
end
local name = ARGV[4] .. '/' .. ARGV[5]
local lines, uploaded, repeated = key('upload', name), key('uploaded', name), key('repeated', name)
local offset = tonumber(ARGV[6])
local early = drop.state == 'draft' or drop.state == 'announced'
if drop.codes ~= 'list' or not early or redis.call('LLEN', lines) ~= offset then
  return {position, 'REFUSED', 'conflict', ''}
end
for from = 9, #ARGV, 1000 do -- `unpack` has room for some thousand values
  redis.call('RPUSH', lines, unpack(ARGV, from, math.min(from + 999, #ARGV)))
end
for i = 9, #ARGV do
  if redis.call('SADD', uploaded, ARGV[i]) == 0 then
    redis.call('RPUSH', repeated, offset + i - 8)
  end
end
for _, each in ipairs({lines, uploaded, repeated}) do
  redis.call('PEXPIRE', each, ARGV[8])
end
return {position, 'OK', redis.call('LLEN', lines), redis.call('LRANGE', repeated, 0, tonumber(ARGV[7]) - 1)}
