-- What gifts amount to in their room.
--
--   gift:<tx> (hash)                     the gift and what became of it, kept for keep_ms
--   board:<room>/<broadcast> (zset)      by value; a member is <2^53 - position> and the user, so that of two with the same
--                                        value the one who got there first stands higher
--   givers:<room>/<broadcast> (hash)     user -> member of the board
--   takings:<room>/<broadcast> (hash)    gifts, host:<to> -> coins
--   earnings:<room> (hash)               the same over all broadcasts

-- Count `value` coins and `gifts` gifts in or (negative) out. `enter` appends the entry, given the giver's new total and the
-- position; what it returns is returned.
local function count(gift, gifts, value, enter)
  local place = gift.room .. '/' .. gift.broadcast
  local board, givers = key('board', place), key('givers', place)
  local member = redis.call('HGET', givers, gift.user)
  local total = value + (member and tonumber(redis.call('ZSCORE', board, member)) or 0)
  local reached = next_position()
  enter(total, reached)
  if member then
    redis.call('ZREM', board, member)
  end
  if total == 0 then
    redis.call('HDEL', givers, gift.user)
  else
    member = string.format('%016.0f', 9007199254740992 - reached) .. gift.user
    redis.call('ZADD', board, total, member)
    redis.call('HSET', givers, gift.user, member)
  end
  for _, takings in ipairs({key('takings', place), key('earnings', gift.room)}) do
    redis.call('HINCRBY', takings, 'gifts', gifts)
    redis.call('HINCRBY', takings, 'host:' .. gift.to, text(value))
  end
  return total
end
