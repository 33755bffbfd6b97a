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
local free = {}  -- how many more deliveries may wait for an endpoint; below 0 if it is disabled
local function free_of(id)
  if redis.call('HEXISTS', tag .. 'off', id) == 1 then
    return -1
  end
  return queue_max - redis.call('ZCARD', of('pending', id))
end
while ARGV[at] do
  local once, id, kind, room, body, n = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3], ARGV[at + 4], tonumber(ARGV[at + 5])
  if once == '' or redis.call('SET', of('once', once), '1', 'NX', 'PX', once_ms) then
    local number = list(body, '')
    added = added + 1
    for i = at + 6, at + 5 + n do
      local endpoint = ARGV[i]
      local left = free[endpoint] or free_of(endpoint)
      if left > 0 then
        deal(endpoint, number, id, kind, room)
      elseif left == 0 then
        disable(endpoint, 'too many deliveries were waiting')
      end
      free[endpoint] = left - 1
    end
  end
  at = at + 6 + n
end

for endpoint, left in pairs(free) do
  advance(endpoint)
end

-- What is too old or too much goes, somewhat faster than it comes.
local total, oldest_at = tonumber(redis.call('GET', tag .. 'bytes') or '0'), now - tonumber(ARGV[6])
local bytes_max = tonumber(ARGV[7])
local function is_over(entry)
  local fields = entry[2]
  return tonumber(fields[4]) < oldest_at or total - tonumber(fields[6]) > bytes_max
end
local first = redis.call('XRANGE', tag .. 'events', '-', '+', 'COUNT', 1)
if first[1] and is_over(first[1]) then
  local gone
  for _, entry in ipairs(redis.call('XRANGE', tag .. 'events', '-', '+', 'COUNT', 100 + 2 * added)) do
    if not is_over(entry) then
      break
    end
    gone = string.match(entry[1], '^%d+')
  end
  redis.call('XTRIM', tag .. 'events', 'MINID', '=', text(tonumber(gone) + 1) .. '-0')
end
return {'AT', ARGV[5]}
