-- What becomes of units. fates:<room>/<id>: serial -> state, changed_at, order_id, amount ("" for none), currency, reason,
--                     "1" if it came back to stock

local function load_unit(drop, serial)
  local record = redis.call('HGET', key('units', drop.name), serial)
  if not record then
    return nil
  end
  local packed = redis.call('HGET', key('fates', drop.name), serial)
  local unit = {serial = tonumber(serial), record = record, kept = cmsgpack.unpack(record)}
  unit.user, unit.expires_at = unit.kept[2], unit.kept[7]
  unit.fate = packed and cmsgpack.unpack(packed) or {unit.expires_at > 0 and 'reserved' or 'granted', 0, '', '', '', ''}
  unit.state = unit.fate[1]
  return unit
end

-- Units take on a new state, all the same one. `change`: returned, freed, order_id, amount, currency, reason.
local function become(drop, room, id, units, state, change)
  local records, freed = {}, {}
  for i, unit in ipairs(units) do
    records[i] = unit.record
    drop.reserved = drop.reserved - (unit.state == 'reserved' and 1 or 0)
    unit.fate = {
      state, now,
      change.order_id ~= '' and change.order_id or unit.fate[3],
      change.amount ~= '' and change.amount or unit.fate[4],
      change.currency ~= '' and change.currency or unit.fate[5],
      change.reason,
      change.returned and '1' or '',
    }
  end
  drop.returned = drop.returned + (change.returned and #units or 0)
  restock(drop)
  drop.changed = next_position()
  append(drop.changed, 'became', 'room', room, 'drop', id, 'became', state, 'returned', change.returned and 1 or 0,
    'freed', change.freed and 1 or 0, 'left', drop.left, 'state', drop.state, 'order_id', change.order_id, 'amount',
    change.amount, 'currency', change.currency, 'reason', change.reason, 'units', packed_array(records))
  for _, unit in ipairs(units) do
    redis.call('HSET', key('fates', drop.name), unit.serial, cmsgpack.pack(unit.fate))
    if unit.expires_at > 0 then
      redis.call('ZREM', key('expiring', 'all'), drop.name .. '#' .. unit.serial)
    end
    if change.freed then
      redis.call('HINCRBY', taken_key(drop, room), unit.user, -1)
    end
  end
  save_drop(drop)
end
