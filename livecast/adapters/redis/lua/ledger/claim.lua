-- Decide claims of one drop, in their order.
--
--   entrants:<room>/<id> (list)          the n-th: user, cid, nonce, at
--   entries:<room>/<id> (hash)           user -> n
--   occasion:<room>/<id> (string)        the broadcast of the first claim that was taken
--   refusals:<room>/<id>/<period> (hash)  user -> the last final refusals, "\n<cid>\t<verdict><until>" each. A period lasts
--                                        refusals_keep_ms; its key goes at the end of the next one
--
-- ARGV  4 room  5 id  6 broadcast  7 refusals_max  8 refusals_keep_ms
--       9 claims (MessagePack)   {users, cids} or {users, cids, marks, nonces}, the n-th of each is the n-th claim's; mark: "" (as
--       without) nothing against it, "-" something is missing, else the code of an objection. (One argument for all of them: a
--       call of 500 with one for each was ten times as dear to pack, and the server reads and copies each of them.)
-- Answer  {position, "OK", answers (MessagePack)}   for each claim one of
--           {"W", serial, of, at, expires_at (0: none), code, again}   {"E", number, nonce, at, again}
--           {"N", opens_in_ms (-1: not known)}   {"I", gifted}   {"R", code}   "limit"   "sold_out"   "closed"
--         {position, "REFUSED", "unknown_drop", ""}
-- Idempotent by (user, cid) for what is remembered.

local room, id = ARGV[4], ARGV[5]
local name = room .. '/' .. id
local drop = load_drop(name)
if not drop then
  return {position, 'REFUSED', 'unknown_drop', ''}
end
local users, cids, marks, nonces = unpack(cmsgpack.unpack(ARGV[9]))
local n = #users
local server = server_time()
local agreed = math.min(now, server)

-- What is known of all claimants, in few reads.
local ids = {}
for i = 1, n do
  ids[i] = users[i] .. '/' .. cids[i]
end
local function known_of(where, names)
  local found = {}
  if n > 0 then
    local values = redis.call('HMGET', where, unpack(names))
    for i = 1, n do
      found[names[i]] = values[i]
    end
  end
  return found
end
local answers = known_of(key('answers', name), ids)
local taken = known_of(taken_key(drop, room), users)
local gave = drop.gifted ~= '' and known_of(key('givers', room .. '/' .. ARGV[6]), users) or {}
local entry_of = drop.pot == 'open' and known_of(key('entries', name), users) or {}

-- Refusals: one hash for all users of a period, so that a sold out drop costs one write per call and not one per click. Who is
-- refused again takes the last period's refusals along, so the newer hash always has all of a user's.
local refusals_max, refusals_keep_ms = tonumber(ARGV[7]), tonumber(ARGV[8])
local period = math.floor(server / refusals_keep_ms)
local refusals_key = key('refusals', name) .. '/' .. text(period)
local refused = known_of(refusals_key, users)
local last_key = key('refusals', name) .. '/' .. text(period - 1)
if redis.call('EXISTS', last_key) == 1 then
  for user, held in pairs(known_of(last_key, users)) do
    refused[user] = refused[user] or held
  end
end
local LETTER_OF, VERDICT_OF, PACKED = {limit = 'l', sold_out = 's', closed = 'c'}, {}, {}
for verdict, letter in pairs(LETTER_OF) do
  VERDICT_OF[letter] = verdict
  PACKED[verdict] = cmsgpack.pack(verdict)
end
local until_text = text(server + refusals_keep_ms)

local is_first = drop.granted == 0 and drop.entrants == 0
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

-- A cid as it stands among refusals, where a line and a tab have a meaning.
local function escaped(cid)
  if string.find(cid, '[\n\t\\]') then
    cid = string.gsub(cid, '[\n\t\\]', {['\n'] = '\\n', ['\t'] = '\\t', ['\\'] = '\\\\'})
  end
  return cid
end

local function refused_before(user, cid)
  local held = refused[user]
  if held then
    local _, found = string.find(held, '\n' .. escaped(cid) .. '\t', 1, true)
    if found and tonumber(string.match(held, '^%d+', found + 2)) > server then
      return PACKED[VERDICT_OF[string.sub(held, found + 1, found + 1)]]
    end
  end
end

local function refuse(user, cid, verdict)
  local held = (refused[user] or '') .. '\n' .. escaped(cid) .. '\t' .. LETTER_OF[verdict] .. until_text
  if select(2, string.gsub(held, '\n', '')) > refusals_max then
    held = string.sub(held, (string.find(held, '\n', 2, true))) -- without the oldest
  end
  refused[user] = held
  new_refused[user] = true
  return PACKED[verdict]
end

local selling = drop.state == 'open' or drop.state == 'sold_out'
local is_early = drop.state == 'draft' or drop.state == 'announced'
local opens_in_ms = is_early and drop.opens_at and math.max(0, drop.opens_at - agreed) or -1
local is_waiting = is_early or drop.state == 'paused' or (selling and drop.pot == 'frozen')
local is_over = not selling or (drop.closes_at and agreed >= drop.closes_at)

-- The i-th claim's answer; a refusal's is packed already.
local function decide(i)
  local user, cid, mark, claim = users[i], cids[i], marks and marks[i] or '', ids[i]
  local known = answers[claim] and answer_again(user, answers[claim]) or refused_before(user, cid)
  if known then
    return known
  elseif is_waiting then
    return {'N', opens_in_ms}
  elseif is_over then
    return refuse(user, cid, 'closed')
  elseif mark ~= '' and mark ~= '-' then
    return {'R', mark}
  end
  local not_gifted = drop.gifted ~= '' and not gave[user]
  if mark == '-' or not_gifted then
    return {'I', not_gifted}
  end
  local has = tonumber(taken[user] or 0)
  if has >= drop.per_user or entry_of[user] then
    return refuse(user, cid, 'limit')
  elseif drop.pot == 'open' then
    local number = drop.entrants + 1
    drop.entrants = number
    entry_of[user] = number
    new_entries[#new_entries + 1] = user
    new_entries[#new_entries + 1] = number
    new_answers[#new_answers + 1] = claim
    new_answers[#new_answers + 1] = 'e'
    local nonce = nonces and nonces[i] or ''
    entrants[#entrants + 1] = cmsgpack.pack({user, cid, nonce, now})
    answers[claim] = {'E', number, nonce, now, true}
    return {'E', number, nonce, now, false}
  elseif drop.left == 0 then
    return refuse(user, cid, 'sold_out')
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
  local answer = decide(i)
  decided[i] = type(answer) == 'table' and cmsgpack.pack(answer) or answer
end

write_grants(grants, room, id, taken)
if is_first and (drop.granted > 0 or drop.entrants > 0) then
  redis.call('SET', key('occasion', name), ARGV[6])
end
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
if next(new_refused) then
  local pairs_of = {}
  for user in pairs(new_refused) do
    pairs_of[#pairs_of + 1] = user
    pairs_of[#pairs_of + 1] = refused[user]
  end
  redis.call('HSET', refusals_key, unpack(pairs_of))
  redis.call('PEXPIREAT', refusals_key, text((period + 2) * refusals_keep_ms))
end
return {position, 'OK', packed_array(decided)}
