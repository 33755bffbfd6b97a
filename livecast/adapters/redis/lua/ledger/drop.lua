-- A drop as it is kept: drop:<room>/<id> (hash), all fields as text, "" for what is not there.
--
-- Besides FIELDS it has room, id, about and result (public), and secret, made and upload (never in the ledger's stream).
--
--   drops:<room> (zset)   drop ids by the position at which they were made
--   due:all (zset)        "<what> <room>/<id>" by time: steps to come, and "tell" where winners are to be told (pot.lua)

local NUMBERS = {
  'stock', 'per_user', 'announce_at', 'opens_at', 'closes_at', 'reserve_ms', 'fair_window_ms', 'left', 'granted', 'returned',
  'reserved', 'created_at', 'changed', 'opened_at', 'closed_at', 'codes_held', 'entrants', 'sold_out_times',
}
local FIELDS = {unpack(NUMBERS)}
for _, word in ipairs({'kind', 'codes', 'limit_group', 'gifted', 'test', 'state', 'pot'}) do
  FIELDS[#FIELDS + 1] = word
end

local function load_drop(name)
  local held = redis.call('HMGET', key('drop', name), unpack(FIELDS))
  if not held[1] then
    return nil
  end
  local drop = {name = name}
  for i, field in ipairs(FIELDS) do
    if i <= #NUMBERS then
      drop[field] = tonumber(held[i]) -- nil for ""
    else
      drop[field] = held[i]
    end
  end
  return drop
end

-- Terms from pairs of field and value, from the `first`th argument on.
local function set_terms(drop, first)
  local numeric = {}
  for _, field in ipairs(NUMBERS) do
    numeric[field] = true
  end
  for i = first, #ARGV, 2 do
    if numeric[ARGV[i]] then
      drop[ARGV[i]] = tonumber(ARGV[i + 1])
    else
      drop[ARGV[i]] = ARGV[i + 1]
    end
  end
end

-- What is left, and whether that is nothing, follow from the rest.
local function restock(drop)
  local left = drop.stock - drop.granted + drop.returned
  if drop.codes == 'list' and drop.test == '' then
    left = math.min(left, drop.codes_held - drop.granted) -- serials are never reused, so a list may end before the stock
  end
  drop.left = math.max(0, left)
  if drop.state == 'open' and drop.left == 0 then
    drop.state = 'sold_out'
    drop.sold_out_times = drop.sold_out_times + 1
  elseif drop.state == 'sold_out' and drop.left > 0 then
    drop.state = 'open'
  end
end

local function save_drop(drop)
  local command = {'HSET', key('drop', drop.name)}
  for _, field in ipairs(FIELDS) do
    command[#command + 1] = field
    command[#command + 1] = drop[field] or ''
  end
  redis.call(unpack(command))
end

-- Steps to come at their times, in the drop's state.
local function schedule(drop)
  local due = key('due', 'all')
  local early = drop.state == 'draft' or drop.state == 'announced'
  local selling = drop.state == 'open' or drop.state == 'sold_out' or drop.state == 'paused'
  local undrawn = (drop.pot == 'open' or drop.pot == 'frozen') and drop.kind == 'coupon' and drop.state ~= 'cancelled'
  for what, at in pairs({
    announce = drop.state == 'draft' and drop.announce_at or false,
    open = early and drop.opens_at or false,
    window = undrawn and drop.opened_at + drop.fair_window_ms or false,
    close = selling and drop.closes_at or false,
    settle = drop.state == 'closed' and drop.closed_at or false,
    selling = selling and drop.opened_at or false,
  }) do
    if at then
      redis.call('ZADD', due, at, what .. ' ' .. drop.name)
    else
      redis.call('ZREM', due, what .. ' ' .. drop.name)
    end
  end
end

-- Keep a changed drop and tell the ledger what it is now.
local function enter_drop(drop, step)
  drop.changed = next_position()
  local blobs = redis.call('HMGET', key('drop', drop.name), 'room', 'id', 'about', 'result')
  local fields = {'step', step, 'room', blobs[1], 'id', blobs[2], 'about', blobs[3], 'result', blobs[4]}
  for _, field in ipairs(FIELDS) do
    fields[#fields + 1] = field
    fields[#fields + 1] = drop[field] or ''
  end
  append(drop.changed, 'drop', unpack(fields))
  save_drop(drop)
  schedule(drop)
end

-- The answer that shows a drop as it is.
local function show_drop(drop)
  return {position, 'OK', redis.call('HGETALL', key('drop', drop.name))}
end

local function is_short_of_codes(drop)
  return drop.codes == 'list' and drop.test == '' and drop.codes_held < drop.stock
end
