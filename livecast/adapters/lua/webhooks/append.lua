-- Keep events, deal them to endpoints, and move the cursor of their source, in one step.
--
-- ARGV  2 rev           the revision of all endpoints that the caller matched the events with
--       3 source        4 expected  5 upto   the cursor before and behind this; no cursor if the source is below 0
--       6 keep_ms       7 bytes_max          bounds of the list
--       8 queue_max     9 once_ms
--       then for each event: once, id, type, room, body, n, and n ids of endpoints
--
-- Answer  {"REV"}         endpoints have changed: match again
--         {"AT", cursor}  where the cursor stands behind this; nothing was done unless that is `upto`

if (redis.call('GET', tag .. 'rev') or '0') ~= ARGV[2] then
  return {'REV'}
end
local source = tonumber(ARGV[3])
if source >= 0 then
  local stands = redis.call('HGET', tag .. 'cursor', ARGV[3]) or '0'
  if stands ~= ARGV[4] then
    return {'AT', stands}
  end
  redis.call('HSET', tag .. 'cursor', ARGV[3], ARGV[5])
end

local queue_max, once_ms = tonumber(ARGV[8]), ARGV[9]
local at, added = 10, 0
while ARGV[at] do
  local once, id, kind, room, body, n = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3], ARGV[at + 4], tonumber(ARGV[at + 5])
  if once == '' or redis.call('SET', of('once', once), '1', 'NX', 'PX', once_ms) then
    local number = list(body, '')
    added = added + 1
    for i = at + 6, at + 5 + n do
      local endpoint = ARGV[i]
      if redis.call('HEXISTS', tag .. 'off', endpoint) == 0 then
        if redis.call('ZCARD', of('pending', endpoint)) >= queue_max then
          disable(endpoint, 'too many deliveries were waiting')
        else
          deal(endpoint, number, id, kind, room)
        end
      end
    end
  end
  at = at + 6 + n
end

-- What is too old or too much goes, somewhat faster than it comes.
local total, oldest_at = tonumber(redis.call('GET', tag .. 'bytes') or '0'), now - tonumber(ARGV[6])
local bytes_max, keep_from = tonumber(ARGV[7]), nil
if added > 0 then
  for _, entry in ipairs(redis.call('XRANGE', tag .. 'events', '-', '+', 'COUNT', 100 + 2 * added)) do
    local fields = entry[2]
    if tonumber(fields[4]) >= oldest_at and total - tonumber(fields[6]) <= bytes_max then
      break
    end
    keep_from = string.match(entry[1], '^%d+')
  end
end
if keep_from then
  redis.call('XTRIM', tag .. 'events', 'MINID', '=', text(tonumber(keep_from) + 1) .. '-0')
end
return {'AT', ARGV[5]}
