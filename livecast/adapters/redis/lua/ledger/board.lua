-- What gifts amount to in their room.
--
--   gift:<tx> (hash)                     the gift and what became of it, kept for keep_ms
--   board:<room>/<broadcast> (zset)      by value; a member is <2^53 - position> and the user, so that of two with the same
--                                        value the one who got there first stands higher
--   givers:<room>/<broadcast> (hash)     user -> member of the board
--   takings:<room>/<broadcast> (hash)    gifts, host:<to> -> coins
--   earnings:<room> (hash)               the same over all broadcasts
--   hosts:<room>/<broadcast> (hash)      g:<to> -> gifts that stand, r:<to> -> gifts that were reversed, v:<to> -> their coins;
--   hosts:<room> (hash)                  uncounted: there are takings from before these were counted

-- What gifts of one call come to: counted one by one, written together.
local function new_counting()
  return {places = {}, sums = {}}
end

local function add(counting, where, field, value)
  local sum = counting.sums[where] or {}
  counting.sums[where] = sum
  sum[field] = (sum[field] or 0) + value
end

-- Where a giver stands: on the board, or after the gifts of this call.
local function rank_of(counting, place, user)
  local ranks = counting.places[place] or {}
  counting.places[place] = ranks
  local rank = ranks[user]
  if not rank then
    local member = redis.call('HGET', key('givers', place), user)
    rank = {member = member, total = member and tonumber(redis.call('ZSCORE', key('board', place), member)) or 0}
    ranks[user] = rank
  end
  return rank
end

-- Count a gift to its host, in or (negative) out.
local function count_host(counting, place, takings, to, gifts, value)
  local where = key('hosts', place)
  if not counting.sums[where] and redis.call('EXISTS', where) == 0 and redis.call('EXISTS', takings) == 1 then
    add(counting, where, 'uncounted', 1)
  end
  add(counting, where, 'g:' .. to, gifts)
  if gifts < 0 then
    add(counting, where, 'r:' .. to, -gifts)
    add(counting, where, 'v:' .. to, -value)
  end
end

-- Count `value` coins and `gifts` gifts in or (negative) out. `enter` appends the entry, given the giver's new total and the
-- position. Returns the new total.
local function count(counting, gift, gifts, value, enter)
  local place = gift.room .. '/' .. gift.broadcast
  local rank = rank_of(counting, place, gift.user)
  rank.total = rank.total + value
  rank.reached = next_position()
  enter(rank.total, rank.reached)
  for name, where in pairs({[place] = key('takings', place), [gift.room] = key('earnings', gift.room)}) do
    count_host(counting, name, where, gift.to, gifts, value)
    add(counting, where, 'gifts', gifts)
    add(counting, where, 'host:' .. gift.to, value)
  end
  return rank.total
end

local function write_board(place, ranks)
  local left, scores, members, gone = {}, {}, {}, {}
  for user, rank in pairs(ranks) do
    if rank.member then
      left[#left + 1] = rank.member
    end
    if rank.total == 0 then
      gone[#gone + 1] = user
    else
      local member = string.format('%016.0f', 9007199254740992 - rank.reached) .. user
      scores[#scores + 1] = rank.total
      scores[#scores + 1] = member
      members[#members + 1] = user
      members[#members + 1] = member
    end
  end
  for _, change in ipairs({
    {'ZREM', 'board', left}, {'HDEL', 'givers', gone}, {'ZADD', 'board', scores}, {'HSET', 'givers', members},
  }) do
    if #change[3] > 0 then
      redis.call(change[1], key(change[2], place), unpack(change[3]))
    end
  end
end

local function write_counts(counting)
  for place, ranks in pairs(counting.places) do
    write_board(place, ranks)
  end
  for where, sum in pairs(counting.sums) do
    for field, value in pairs(sum) do
      redis.call('HINCRBY', where, field, text(value))
    end
  end
end
