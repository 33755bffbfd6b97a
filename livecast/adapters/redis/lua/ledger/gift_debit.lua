-- Take a gift's value from its giver's wallet, and note that its room is still to be told.
--
--   debit:<tx> (string)     the answer, kept for keep_ms: body, balance, number, at
--   pending:all (zset)      "commit/<tx>", by when it was noted
--   pending_gifts:all (hash)    "commit/<tx>" -> gift
--
-- ARGV  4 tx  5 body  6 user  7 value  8 objection  9 counter  10 memo  11 opening  12 keep_ms
--      13 per_gift  14 per_day  15 per_month ("" for no bound)  16 day  17 month  18 gift (MessagePack)
-- Answer  {position, "OK", balance, number, at}      done now or before
--         {position, "REFUSED", code, field}
-- Idempotent by tx.

local tx, body, value, objection = ARGV[4], ARGV[5], tonumber(ARGV[7]), ARGV[8]
local debit_key = key('debit', tx)

local known = redis.call('GET', debit_key)
if known then
  local first = cmsgpack.unpack(known)
  if first[1] ~= body then
    return {position, 'REFUSED', 'conflict', ''}
  end
  return {position, 'OK', first[2], first[3], first[4]}
elseif objection ~= '' then
  return {position, 'REFUSED', objection, ''}
end

local wallet = open_wallet(ARGV[6], tonumber(ARGV[11]))
local day, month = tonumber(ARGV[16]), tonumber(ARGV[17])
if day > wallet.day then -- a clock that goes back begins no old day again
  wallet.day, wallet.spent_day = day, 0
end
if month > wallet.month then
  wallet.month, wallet.spent_month = month, 0
end
local spent_day, spent_month = wallet.spent_day + value, wallet.spent_month + value
for _, bound in ipairs({{'per_gift', ARGV[13], value}, {'per_day', ARGV[14], spent_day}, {'per_month', ARGV[15], spent_month}}) do
  if bound[2] ~= '' and bound[3] > tonumber(bound[2]) then
    return {position, 'REFUSED', 'spend_limit', bound[1]}
  end
end
if wallet.balance < value then
  return {position, 'REFUSED', 'insufficient_funds', ''}
end

append(next_position(), 'debit', 'gift', ARGV[18], 'balance', wallet.balance - value, 'number', wallet.n + 1)
book(wallet, -value, ARGV[9], tx, ARGV[10])
wallet.spent_day, wallet.spent_month = spent_day, spent_month
save_wallet(wallet)
redis.call('SET', debit_key, cmsgpack.pack({body, wallet.balance, wallet.n, now}), 'PX', ARGV[12])
redis.call('ZADD', key('pending', 'all'), now, 'commit/' .. tx)
redis.call('HSET', key('pending_gifts', 'all'), 'commit/' .. tx, ARGV[18])
return {position, 'OK', wallet.balance, wallet.n, now}
