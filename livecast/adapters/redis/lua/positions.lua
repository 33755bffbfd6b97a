-- Remember positions that the ledger's shards were seen at, each only if it is above what is remembered.
--
-- KEYS  1 ledger:positions (hash)   shard -> position
-- ARGV  1 shard  2 position … pairs
-- Answer  how many went up
-- Idempotent.

local raised = 0
for i = 1, #ARGV, 2 do
  if tonumber(ARGV[i + 1]) > tonumber(redis.call('HGET', KEYS[1], ARGV[i]) or '-1') then
    redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1])
    raised = raised + 1
  end
end
return raised
