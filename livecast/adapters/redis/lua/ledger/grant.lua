-- Granting units of one drop: collected, then written together.
--
--   units:<room>/<id> (hash)      serial -> serial, user, cid, code, at, of, expires_at (0: not reserved)
--   fates:<room>/<id> (hash)      serial -> what became of a unit that is no longer as it was granted
--   answers:<room>/<id> (hash)    user/cid -> serial won, or "e" for entered
--   taken:<room>/<id> (hash)      user -> units that count against per_user; in a limit group group:<room>/<group> instead
--   holders:<room>/<id> (hash)    user -> serials, "1,7"
--   codes:<room>/<id> (list)
--   expiring:all (zset)           <room>/<id>#<serial> by time

local function taken_key(drop, room)
  if drop.limit_group ~= '' then
    return key('group', room .. '/' .. drop.limit_group)
  end
  return key('taken', drop.name)
end

local function new_grants(drop, most)
  local grants = {drop = drop, of = drop.stock, records = {}, units = {}, users = {}, serials_of = {}, expiring = {}, codes = {}}
  grants.expires_at = drop.reserve_ms > 0 and now + drop.reserve_ms or 0
  if drop.codes == 'list' and drop.test == '' then
    grants.codes = redis.call('LRANGE', key('codes', drop.name), drop.granted, drop.granted + most - 1)
  end
  return grants
end

-- One more unit for somebody who may have it; its serial and code.
local function grant(grants, user, cid)
  local drop, n = grants.drop, #grants.records + 1
  local serial = drop.granted + 1
  local code = grants.codes[n] or ''
  local record = cmsgpack.pack({serial, user, cid, code, now, grants.of, grants.expires_at})
  grants.records[n] = record
  grants.units[2 * n - 1] = serial
  grants.units[2 * n] = record
  if not grants.serials_of[user] then
    grants.users[#grants.users + 1] = user
    grants.serials_of[user] = {}
  end
  table.insert(grants.serials_of[user], serial)
  drop.granted = serial
  if grants.expires_at > 0 then
    drop.reserved = drop.reserved + 1
    grants.expiring[2 * n - 1] = grants.expires_at
    grants.expiring[2 * n] = drop.name .. '#' .. serial
  end
  restock(drop)
  return serial, code
end

-- A MessagePack array of values that are packed already.
local function packed_array(values)
  local n = #values
  local header = n < 16 and string.char(0x90 + n) or string.char(0xdc, math.floor(n / 256), n % 256)
  return header .. table.concat(values)
end

-- Write all that was granted. `taken` says how many units each of their users has now.
local function write_grants(grants, room, id, taken)
  local drop = grants.drop
  if #grants.records == 0 then
    return
  end
  drop.changed = next_position()
  append(drop.changed, 'granted', 'room', room, 'drop', id, 'of', grants.of, 'expires_at', grants.expires_at, 'left', drop.left,
    'state', drop.state, 'sold_out_times', drop.sold_out_times, 'grants', packed_array(grants.records))
  redis.call('HSET', key('units', drop.name), unpack(grants.units))
  local counts, serials = {}, {}
  local held = redis.call('HMGET', key('holders', drop.name), unpack(grants.users))
  for i, user in ipairs(grants.users) do
    counts[2 * i - 1], counts[2 * i] = user, taken[user]
    local more = table.concat(grants.serials_of[user], ',')
    serials[2 * i - 1], serials[2 * i] = user, held[i] and held[i] .. ',' .. more or more
  end
  redis.call('HSET', taken_key(drop, room), unpack(counts))
  redis.call('HSET', key('holders', drop.name), unpack(serials))
  if grants.expires_at > 0 then
    redis.call('ZADD', key('expiring', 'all'), unpack(grants.expiring))
  end
  save_drop(drop)
end
