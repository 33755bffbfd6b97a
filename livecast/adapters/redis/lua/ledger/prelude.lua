#!lua
-- What every operation of the ledger begins with; the files of the operations follow in the same script.
--
-- The shebang matters: with it the server refuses the whole script beforehand when it is out of memory, read-only or cannot
-- persist, instead of failing at some write in the middle.
--
-- KEYS  1 barrier (counter)   the shard's position: every call moves it on, also one that answers with a stored answer, because
--                             WAITAOF vouches only for what its own connection wrote
--       2 closed (hash)       why the shard's money is closed: position seen, position it stood at. Absent: it is open
--       3 ledger (stream)     entries, id <position>-0
--       All other keys are of the same shard; their names are made here with its hash tag.
-- ARGV  1 seen                a position that the caller knows the shard to have reached
--       2 now                 the caller's clock, Unix ms
--       3 tag                 "{s17}:"
--
-- Answer  {position, "CLOSED", seen, stood at}   nothing was done; each operation says what else there is, after the position
-- Atomic as every script is.

local position = redis.call('INCR', KEYS[1])
local now, tag = tonumber(ARGV[2]), ARGV[3]

if position <= tonumber(ARGV[1]) then
  redis.call('HSET', KEYS[2], 'seen', ARGV[1], 'stood', position - 1)
end
local closed = redis.call('HMGET', KEYS[2], 'seen', 'stood')
if closed[1] then
  return {position, 'CLOSED', closed[1], closed[2]}
end

local function key(kind, name)
  return tag .. kind .. ':' .. name
end

-- A whole number in full: concatenation alone would cut it to 14 digits.
local function text(number)
  return string.format('%.0f', number)
end

-- The time that both clocks have reached, the caller's and the server's.
local function server_time()
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end
local function agreed_time()
  return math.min(now, server_time())
end

-- One entry in the shard's ledger: a kind and its fields. The first of a call has the call's position.
local entries, reserved = 0, 0
local function next_position()
  if entries > 0 then
    position = position < reserved and position + 1 or redis.call('INCR', KEYS[1])
  end
  entries = entries + 1
  return position
end
-- A call with many entries takes their positions at once. Those that it does not use are never used.
local function reserve_positions(count)
  if count > 1 then
    reserved = redis.call('INCRBY', KEYS[1], count - 1)
  end
end
local function append(at_position, kind, ...)
  redis.call('XADD', KEYS[3], text(at_position) .. '-0', 'k', kind, 'at', now, ...)
end
