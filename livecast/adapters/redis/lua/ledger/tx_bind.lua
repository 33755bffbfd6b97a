-- Bind an id that a service chose to one content, or let it go.
--
--   bound:<tx> (string)   the content's digest, kept for keep_ms
--
-- ARGV  4 tx  5 digest  6 keep_ms (0: let it go, if it is bound to this)
-- Answer  {position, "OK", "new", "same" or "other"}
-- Idempotent.

local bound_key = key('bound', ARGV[4])
local known = redis.call('GET', bound_key)
if ARGV[6] == '0' then
  if known == ARGV[5] then
    redis.call('DEL', bound_key)
  end
elseif not known then
  redis.call('SET', bound_key, ARGV[5], 'PX', ARGV[6])
end
return {position, 'OK', not known and 'new' or known == ARGV[5] and 'same' or 'other'}
