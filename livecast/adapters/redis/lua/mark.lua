#!lua
-- Put a store's mark of its format in the place of a former one, if nobody is there who could not read what it allows.
--
-- KEYS  1 format (hash)    role -> mark
--       2 beats (hash)      node -> sign of life
-- ARGV  1 role  2 what has to stand there ('': nothing)  3 new mark
--       4 '1': nobody may show signs of life but the nodes named from 5 on; '': that is not looked at
--
-- Answer  1  the new mark stands there
--         0  something else does, or somebody else is there; nothing was written
-- Atomic as every script is; idempotent.

local mark = redis.call('HGET', KEYS[1], ARGV[1]) or ''
if mark == ARGV[3] then
  return 1
end
if mark ~= ARGV[2] then
  return 0
end
if ARGV[4] == '1' then
  local known = {}
  for n = 5, #ARGV do
    known[ARGV[n]] = true
  end
  for _, name in ipairs(redis.call('HKEYS', KEYS[2])) do
    if not known[name] then
      return 0
    end
  end
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
return 1
