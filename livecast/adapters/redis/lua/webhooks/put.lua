-- Keep an endpoint in place of one of its revisions.
--
-- ARGV  2 id  3 endpoint  4 revision  5 the revision it replaces (0: it is new)  6 most endpoints there may be
-- Answer  1, or 0 if another revision is kept or there are too many

local kept = redis.call('HGET', tag .. 'revs', ARGV[2]) or '0'
if kept ~= ARGV[5] or (kept == '0' and redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[6])) then
  return 0
end
redis.call('HSET', KEYS[1], ARGV[2], ARGV[3])
redis.call('HSET', tag .. 'revs', ARGV[2], ARGV[4])
redis.call('INCR', tag .. 'rev')
return 1
