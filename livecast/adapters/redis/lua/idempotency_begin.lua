#!lua
-- Ask whether a request may go ahead under its Idempotency-Key.
--
-- KEYS  1 the key (hash): d digest of the body, h whose request is in flight, a first answer (absent while in flight)
-- ARGV  1 digest  2 lease_ms  3 holder
--
-- Answer  {"GO"}              nobody used the key, or this holder, who was never told so: it is now in flight for lease_ms
--         {"AGAIN", answer}   it was answered
--         {"IN_FLIGHT"}       another request holds it
--         {"OTHER_BODY"}      it was used with another digest
-- Atomic as every script is.

local held = redis.call('HMGET', KEYS[1], 'd', 'a', 'h')
if not held[1] or (held[1] == ARGV[1] and held[3] == ARGV[3] and not held[2]) then
  redis.call('HSET', KEYS[1], 'd', ARGV[1], 'h', ARGV[3])
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
  return {'GO'}
elseif held[1] ~= ARGV[1] then
  return {'OTHER_BODY'}
elseif held[2] then
  return {'AGAIN', held[2]}
end
return {'IN_FLIGHT'}
