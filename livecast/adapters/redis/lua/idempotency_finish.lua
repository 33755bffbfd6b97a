#!lua
-- Store the first answer under an Idempotency-Key, or forget the key so that the request can be tried again.
--
-- KEYS  1 the key (hash): d digest of the body, a first answer (absent while in flight)
-- ARGV  1 digest  2 keep_ms  3 "1" to store, "0" to forget  4 answer
--
-- Answer  1 done, 0 left alone: another body holds the key, or an answer is there already (this request's lease ran out).
-- Atomic as every script is; a repeat changes nothing.

local held = redis.call('HMGET', KEYS[1], 'd', 'a')
if (held[1] and held[1] ~= ARGV[1]) or held[2] then
  return 0
elseif ARGV[3] == '1' then
  redis.call('HSET', KEYS[1], 'd', ARGV[1], 'a', ARGV[4])
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
else
  redis.call('DEL', KEYS[1])
end
return 1
