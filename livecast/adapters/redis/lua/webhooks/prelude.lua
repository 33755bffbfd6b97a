#!lua
-- What every script of the webhooks begins with. All of their keys carry one tag, so that dealing an event to its endpoints is
-- one step wherever it came from.
--
-- KEYS  1 {webhooks}:endpoints   hash    id -> endpoint, MessagePack; the other keys are named here
--         revs                   hash    id -> revision of the endpoint
--         rev                    counter changes of endpoints
--         seq                    hash    id -> last seq
--         off                    hash    id -> "<since> <why>" of a disabled endpoint
--         failing                hash    id -> since when it has taken nothing
--         cursor                 hash    source -> position up to which its events are kept
--         count, bytes           counter events ever, and what they took
--         events                 stream  id <number>-0: b body, at Unix ms, c bytes before it, o the only endpoint it is for
--         once:<name>            string  this was told
--         next                   zset    id -> when something of it is due; none of a disabled endpoint
--         due:<id>               zset    room -> when the oldest delivery of it is due
--         queue:<id>:<room>      list    seq of what waits, oldest first
--         deliveries:<id>        hash    seq -> delivery, MessagePack
--         pending|delivered|dead:<id>    zset seq by seq
-- ARGV  1 now                    the caller's clock, Unix ms
--
-- Atomic as every script is.

local tag, now = '{webhooks}:', tonumber(ARGV[1])

local function of(kind, id)
  return tag .. kind .. ':' .. id
end

local function text(number)
  return string.format('%.0f', number)
end

-- Say when something of an endpoint is due next.
local function advance(id)
  local first = redis.call('ZRANGE', of('due', id), 0, 0, 'WITHSCORES')
  if first[2] and redis.call('HEXISTS', tag .. 'off', id) == 0 then
    redis.call('ZADD', tag .. 'next', first[2], id)
  else
    redis.call('ZREM', tag .. 'next', id)
  end
end

local function disable(id, why)
  redis.call('HSETNX', tag .. 'off', id, ARGV[1] .. ' ' .. why)
  advance(id)
end

-- Whoever calls this, or `deal`, calls `advance` behind it.
local function enqueue(id, room, seq)
  if redis.call('RPUSH', of('queue', id) .. ':' .. room, seq) == 1 then
    redis.call('ZADD', of('due', id), now, room)
  end
  redis.call('ZADD', of('pending', id), seq, seq)
end

-- A new delivery of an event to an endpoint.
local function deal(id, number, event, kind, room)
  local seq = redis.call('HINCRBY', tag .. 'seq', id, 1)
  local delivery = cmsgpack.pack({number, event, kind, room, now, 'pending', 0, now, now, 0, 0, ''})
  redis.call('HSET', of('deliveries', id), seq, delivery)
  enqueue(id, room, seq)
  return seq
end

-- A new event at the end of the list; its number.
local function list(body, only)
  local number = redis.call('INCR', tag .. 'count')
  local size = #body + 100
  local before = redis.call('INCRBY', tag .. 'bytes', size) - size
  redis.call('XADD', tag .. 'events', text(number) .. '-0', 'b', body, 'at', now, 'c', text(before), 'o', only)
  return number
end

-- The body of an event; nil if it is no longer kept.
local function body_of(number)
  local id = text(number) .. '-0'
  local found = redis.call('XRANGE', tag .. 'events', id, id)
  return found[1] and found[1][2][2]
end
