-- Deal one event to one endpoint, whatever it wants.
--
-- ARGV  2 endpoint  3 id  4 type  5 room  6 body
-- Answer  {seq}, or {} if there is no such endpoint

if redis.call('HEXISTS', KEYS[1], ARGV[2]) == 0 then
  return {}
end
local seq = deal(ARGV[2], list(ARGV[6], ARGV[2]), ARGV[3], ARGV[4], ARGV[5])
advance(ARGV[2])
return {seq}
