-- Grant units to entrants of a frozen pot, in the order of the draw.
--
--   awards:<room>/<id> (list)   the serial of the n-th in that order, 0 for none
--
-- ARGV  4 room  5 id  6 offset  7… users
-- Answer  {position, "OK", {serial…}}       now or before
--         {position, "REFUSED", code, ""}
-- Idempotent by (drop, offset).

local room, id, offset = ARGV[4], ARGV[5], tonumber(ARGV[6])
local name = room .. '/' .. id
local drop = load_drop(name)
if not drop then
  return {position, 'REFUSED', 'unknown_drop', ''}
end
local users = {unpack(ARGV, 7)}
local awards = key('awards', name)
local done = redis.call('LLEN', awards)
if offset + #users <= done then
  return {position, 'OK', #users > 0 and redis.call('LRANGE', awards, offset, offset + #users - 1) or {}}
elseif drop.pot ~= 'frozen' or drop.state == 'cancelled' or offset ~= done then
  return {position, 'REFUSED', 'conflict', ''}
end
local numbers = redis.call('HMGET', key('entries', name), unpack(users))
for i = 1, #users do
  if not numbers[i] then
    return {position, 'REFUSED', 'conflict', ''}
  end
end
local taken, serials = {}, {}
for i, count in ipairs(redis.call('HMGET', taken_key(drop, room), unpack(users))) do
  taken[users[i]] = tonumber(count or 0)
end
local grants = new_grants(drop, #users)
for i, user in ipairs(users) do
  serials[i] = 0
  if drop.left > 0 and taken[user] < drop.per_user then
    local entrant = cmsgpack.unpack(redis.call('LINDEX', key('entrants', name), numbers[i] - 1))
    serials[i] = grant(grants, user, entrant[2])
    taken[user] = taken[user] + 1
  end
end
write_grants(grants, room, id, taken)
redis.call('RPUSH', awards, unpack(serials))
return {position, 'OK', serials}
