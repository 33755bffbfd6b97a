-- Decide claims of one drop, in their order.
--
--   entrants:<room>/<id> (list)          the n-th: user, cid, nonce, at
--   entries:<room>/<id> (hash)           user -> n
--   refused:<room>/<id>/<user> (string)  the last final refusals: {cid, verdict, until}, forgotten refusals_keep_ms after the last
--
-- ARGV  4 room  5 id  6 broadcast  7 refusals_max  8 refusals_keep_ms
--       9 user  10 cid  11 mark  12 nonce … for each claim; mark: "" nothing against it, "-" something is missing, else the code
--       of an objection
-- Answer  {position, "OK", answers (MessagePack)}   for each claim one of
--           {"W", serial, of, at, expires_at (0: none), code, again}   {"E", number, nonce, at, again}
--           {"N", opens_in_ms (-1: not known)}   {"I", gifted}   {"R", code}   {"limit"}   {"sold_out"}   {"closed"}
--         {position, "REFUSED", "unknown_drop", ""}
-- Idempotent by (user, cid) for what is remembered.

local room, id = ARGV[4], ARGV[5]
local name = room .. '/' .. id
local drop = load_drop(name)
if not drop then
  return {position, 'REFUSED', 'unknown_drop', ''}
end
local FIRST, WIDTH = 9, 4
local n = (#ARGV - FIRST + 1) / WIDTH
local server = server_time()
local agreed = math.min(now, server)

-- What is known of all claimants, in few reads.
local users, ids, refused_keys = {}, {}, {}
local refused_prefix = key('refused', name) .. '/'
for i = 1, n do
  local at = FIRST + (i - 1) * WIDTH
  users[i] = ARGV[at]
  ids[i] = ARGV[at] .. '/' .. ARGV[at + 1]
  refused_keys[i] = refused_prefix .. ARGV[at]
end
local function known_of(command, where, names)
  local found = {}
  if n > 0 then
    local values = where and redis.call(command, where, unpack(names)) or redis.call(command, unpack(names))
    for i = 1, n do
      found[names[i]] = values[i]
    end
  end
  return found
end
local answers = known_of('HMGET', key('answers', name), ids)
local taken = known_of('HMGET', taken_key(drop, room), users)
local refused = known_of('MGET', nil, refused_keys)
local gave = drop.gifted ~= '' and known_of('HMGET', key('givers', room .. '/' .. ARGV[6]), users) or {}
local entry_of = drop.pot == 'open' and known_of('HMGET', key('entries', name), users) or {}

local grants = new_grants(drop, n)
local entrants, new_entries, new_answers, new_refused = {}, {}, {}, {}

local function answer_again(user, known)
  if type(known) == 'table' then
    return known -- from this same call
  elseif known == 'e' then
    local number = redis.call('HGET', key('entries', name), user)
    local entrant = cmsgpack.unpack(redis.call('LINDEX', key('entrants', name), number - 1))
    return {'E', tonumber(number), entrant[3], entrant[4], true}
  end
  local unit = cmsgpack.unpack(redis.call('HGET', key('units', name), known))
  return {'W', unit[1], unit[6], unit[5], unit[7], unit[4], true}
end

local function refused_before(where, cid)
  local held = refused[where]
  if held then
    if type(held) == 'string' then
      held = cmsgpack.unpack(held)
      refused[where] = held
    end
    for _, each in ipairs(held) do
      if each[1] == cid and each[3] > server then
        return {each[2]}
      end
    end
  end
end

local function refuse(where, cid, verdict)
  local held = refused[where] or {}
  held[#held + 1] = {cid, verdict, server + tonumber(ARGV[8])}
  if #held > tonumber(ARGV[7]) then
    table.remove(held, 1)
  end
  refused[where] = held
  new_refused[where] = true
  return {verdict}
end

local selling = drop.state == 'open' or drop.state == 'sold_out'
local is_early = drop.state == 'draft' or drop.state == 'announced'
local opens_in_ms = is_early and drop.opens_at and math.max(0, drop.opens_at - agreed) or -1
local is_waiting = is_early or drop.state == 'paused' or (selling and drop.pot == 'frozen')
local is_over = not selling or (drop.closes_at and agreed >= drop.closes_at)

local function decide(i)
  local at = FIRST + (i - 1) * WIDTH
  local user, cid, mark, where, claim = ARGV[at], ARGV[at + 1], ARGV[at + 2], refused_keys[i], ids[i]
  local known = answers[claim] and answer_again(user, answers[claim]) or refused_before(where, cid)
  if known then
    return known
  elseif is_waiting then
    return {'N', opens_in_ms}
  elseif is_over then
    return refuse(where, cid, 'closed')
  elseif mark ~= '' and mark ~= '-' then
    return {'R', mark}
  end
  local not_gifted = drop.gifted ~= '' and not gave[user]
  if mark == '-' or not_gifted then
    return {'I', not_gifted}
  end
  local has = tonumber(taken[user] or 0)
  if has >= drop.per_user or entry_of[user] then
    return refuse(where, cid, 'limit')
  elseif drop.pot == 'open' then
    local number = drop.entrants + 1
    drop.entrants = number
    entry_of[user] = number
    new_entries[#new_entries + 1] = user
    new_entries[#new_entries + 1] = number
    new_answers[#new_answers + 1] = claim
    new_answers[#new_answers + 1] = 'e'
    entrants[#entrants + 1] = cmsgpack.pack({user, cid, ARGV[at + 3], now})
    answers[claim] = {'E', number, ARGV[at + 3], now, true}
    return {'E', number, ARGV[at + 3], now, false}
  elseif drop.left == 0 then
    return refuse(where, cid, 'sold_out')
  end
  local serial, code = grant(grants, user, cid)
  taken[user] = has + 1
  new_answers[#new_answers + 1] = claim
  new_answers[#new_answers + 1] = serial
  answers[claim] = {'W', serial, grants.of, now, grants.expires_at, code, true}
  return {'W', serial, grants.of, now, grants.expires_at, code, false}
end

local decided = {}
for i = 1, n do
  decided[i] = cmsgpack.pack(decide(i))
end

write_grants(grants, room, id, taken)
if #entrants > 0 then
  drop.changed = next_position()
  append(drop.changed, 'entered', 'room', room, 'drop', id, 'first', drop.entrants - #entrants + 1, 'entrants',
    packed_array(entrants))
  redis.call('RPUSH', key('entrants', name), unpack(entrants))
  redis.call('HSET', key('entries', name), unpack(new_entries))
  save_drop(drop)
end
if #new_answers > 0 then
  redis.call('HSET', key('answers', name), unpack(new_answers))
end
for where in pairs(new_refused) do
  redis.call('SET', where, cmsgpack.pack(refused[where]), 'PX', ARGV[8])
end
return {position, 'OK', packed_array(decided)}
