#!lua
-- Make one tick of one room durable and public: all of it or, if the caller does not own the shard or is out of step, nothing.
--
-- The shebang matters: with it the server refuses the whole script beforehand when it is out of memory, read-only or cannot
-- persist, instead of failing at some write in the middle.
--
-- KEYS  1 owner (string)         the shard's fence token
--       2 room (hash)            last commit, counters, and the format that the room is written in
--       3 snapshot (string)
--       4 log (stream)           one entry per commit of the epoch that has a frame or something private, id <number>-0
--       5 said (stream)          remembered answers, id <ms>-<n>
--       6 users (HyperLogLog)    of this broadcast
--       7 rooms (zset)           the shard's room ids
--       8 summaries (hash)
--       9 out (channel)          of this room
--      10 records (stream)       what the archive has not read yet, of all rooms of the shard
--      11 recorded (hash)        n: records ever made; bytes: of all of them; gone: of those before the oldest that is kept
--      12 acts (stream)         what staff did in this room, the last commits of it
-- ARGV  1 token  2 epoch  3 number  4 seq  5 at (Unix ms)
--       6 frame  7 private  8 remembered  9 remember_ms  10 remembered_bytes_max
--      11 snapshot  12 keep_from  13 broadcast  14 users_ttl_s  15 summary  16 room  17 message to publish
--      18 records_bytes_max (0: none are made)  19 broadcast that the frame counts for  20 notes
--      21 acts  22 acts_max
--      23… new users.  An absent value is the empty string: none of these is ever empty MessagePack or JSON.
--
-- Answer  {"OK", distinct users}       done now, or done before by the same (token, epoch, number): then nothing is written
--         {"FENCED"}                   another token owns the shard, or none does
--         {"ORDER", epoch, number}     the log stands there; nothing was written
-- Atomic as every script is; idempotent by (token, epoch, number).

local FORMAT = 1 -- what one has to know to read this room: READER of core/nodes/formats.py
local token, epoch, number, seq = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
local at, broadcast, room = tonumber(ARGV[5]), ARGV[13], ARGV[16]
local first_user = 23

if redis.call('GET', KEYS[1]) ~= token then
  return {'FENCED'}
end

local last = redis.call('HMGET', KEYS[2], 'token', 'epoch', 'number', 'broadcast', 'users', 'said_at', 'said_bytes', 'said_gone')
local last_token, last_epoch, last_number = last[1], last[2], tonumber(last[3] or '0')
if last_epoch == epoch then
  if last_token ~= token then
    return {'ORDER', last_epoch, last_number}
  elseif last_number == number then
    return {'OK', tonumber(last[5])}
  elseif last_number + 1 ~= number then
    return {'ORDER', last_epoch, last_number}
  end
elseif number ~= 1 or ARGV[11] == '' then
  return {'ORDER', last_epoch or '', last_number}
end

-- The log. A new epoch counts from 1 again, which a stream takes only when it starts anew.
if number == 1 then
  redis.call('DEL', KEYS[4])
end
-- What says nothing makes no entry: a stream takes 4 KB for its first one, and thousands of rooms began and are at rest.
if ARGV[6] ~= '' or ARGV[7] ~= '' then
  local entry = {'XADD', KEYS[4], number .. '-0', 's', seq}
  if ARGV[6] ~= '' then
    entry[#entry + 1] = 'f'
    entry[#entry + 1] = ARGV[6]
  end
  if ARGV[7] ~= '' then
    entry[#entry + 1] = 'p'
    entry[#entry + 1] = ARGV[7]
  end
  redis.call(unpack(entry))
end
local now_known = {
  'HSET', KEYS[2], 'token', token, 'epoch', epoch, 'number', number, 'seq', seq, 'broadcast', broadcast, 'format', FORMAT
}

-- The snapshot covers every entry up to this one, so what lies before `keep_from` is not needed to rebuild the room.
if ARGV[11] ~= '' then
  redis.call('SET', KEYS[3], ARGV[11])
  redis.call('XTRIM', KEYS[4], 'MINID', '=', ARGV[12] .. '-0')
  now_known[#now_known + 1] = 'snapshot_number'
  now_known[#now_known + 1] = number
end

-- Remembered answers, bounded by age and by bytes. Each entry says how many bytes were remembered before it (`c`), so the
-- bytes held are a difference: entries are read back only when the sum since the last look passes the bound.
local said_at, said_bytes, said_gone = tonumber(last[6] or '0'), tonumber(last[7] or '0'), tonumber(last[8] or '0')
if ARGV[8] ~= '' then
  said_at = math.max(said_at, at) -- a clock that went back must not make the id smaller than the last
  redis.call('XADD', KEYS[5], string.format('%.0f-*', said_at), 'b', ARGV[8], 'c', string.format('%.0f', said_bytes))
  said_bytes = said_bytes + #ARGV[8]
end
if said_bytes > 0 then
  redis.call('XTRIM', KEYS[5], 'MINID', '=', string.format('%.0f', math.max(0, at - tonumber(ARGV[9]))))
  while said_bytes - said_gone > tonumber(ARGV[10]) do
    local oldest = redis.call('XRANGE', KEYS[5], '-', '+', 'COUNT', 1)[1]
    if not oldest then
      said_gone = said_bytes
    else
      said_gone = tonumber(oldest[2][4])
      if said_bytes - said_gone > tonumber(ARGV[10]) then
        redis.call('XDEL', KEYS[5], oldest[1])
        said_gone = said_gone + #oldest[2][2]
      end
    end
  end
  for _, value in ipairs({'said_at', said_at, 'said_bytes', said_bytes, 'said_gone', said_gone}) do
    now_known[#now_known + 1] = type(value) == 'number' and string.format('%.0f', value) or value
  end
end

-- Distinct users. The figure never falls within a broadcast, also when its sketch has expired meanwhile.
local users = last[4] == broadcast and tonumber(last[5] or '0') or 0
local counted = last[4] == broadcast and #ARGV < first_user
for from = first_user, #ARGV, 1000 do -- `unpack` has room for some thousand values
  redis.call('PFADD', KEYS[6], unpack(ARGV, from, math.min(from + 999, #ARGV)))
end
if not counted then
  users = math.max(users, redis.call('PFCOUNT', KEYS[6]))
  redis.call('EXPIRE', KEYS[6], ARGV[14])
end
now_known[#now_known + 1] = 'users'
now_known[#now_known + 1] = users
redis.call(unpack(now_known))

-- A record for the archive, of what can be seen or says something about the room. Bounded by bytes as remembered answers are:
-- `c` says how many bytes were recorded before. `n` counts without gaps, so that a reader knows how many it has missed.
local records_max = tonumber(ARGV[18])
local begins = number == 1 and ARGV[11] or ''
local weight = #ARGV[6] + #begins + #ARGV[15] + #ARGV[20]
if records_max > 0 and weight > 0 then
  local recorded = redis.call('HMGET', KEYS[11], 'n', 'bytes', 'gone')
  local n, bytes, gone = tonumber(recorded[1] or '0') + 1, tonumber(recorded[2] or '0'), tonumber(recorded[3] or '0')
  redis.call(
    'XADD', KEYS[10], '*', 'n', string.format('%.0f', n), 'c', string.format('%.0f', bytes), 'r', room, 'b', ARGV[19], 'e', epoch,
    'k', number, 'q', seq, 't', ARGV[5], 'f', ARGV[6], 's', begins, 'y', ARGV[15], 'o', ARGV[20]
  )
  bytes = bytes + weight
  while bytes - gone > records_max do
    local oldest = redis.call('XRANGE', KEYS[10], '-', '+', 'COUNT', 2)
    if #oldest < 2 then
      break
    end
    gone = tonumber(oldest[1][2][4])
    if bytes - gone > records_max then
      redis.call('XDEL', KEYS[10], oldest[1][1])
      gone = tonumber(oldest[2][2][4])
    end
  end
  redis.call(
    'HSET', KEYS[11], 'n', string.format('%.0f', n), 'bytes', string.format('%.0f', bytes), 'gone', string.format('%.0f', gone)
  )
end

if ARGV[21] ~= '' then
  redis.call('XADD', KEYS[12], 'MAXLEN', '~', ARGV[22], '*', 'a', ARGV[21])
end

if ARGV[15] ~= '' then
  redis.call('ZADD', KEYS[7], 0, room)
  redis.call('HSET', KEYS[8], room, ARGV[15])
end
if ARGV[17] ~= '' then
  redis.call('SPUBLISH', KEYS[9], ARGV[17])
end
return {'OK', users}
