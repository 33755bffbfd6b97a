-- Credit or debit a wallet.
--
--   tx:<user>/<tx> (string)   the answer, kept for keep_ms: amount, counter, balance, number, at, memo
--
-- ARGV  4 user  5 tx  6 amount  7 counter  8 memo  9 opening  10 keep_ms  11 amount_max
--      12 day  13 month on which coins that come back were spent ("": they do not)
-- Answer  {position, "OK", balance, number, at}      done now or before
--         {position, "REFUSED", code, field}
-- Idempotent by (user, tx).

local user, tx, amount, counter, memo = ARGV[4], ARGV[5], tonumber(ARGV[6]), ARGV[7], ARGV[8]
local tx_key = key('tx', user .. '/' .. tx)

local known = redis.call('GET', tx_key)
if known then
  local first = cmsgpack.unpack(known)
  if first[1] ~= amount or first[2] ~= counter or first[6] ~= memo then
    return {position, 'REFUSED', 'conflict', ''}
  end
  return {position, 'OK', first[3], first[4], first[5]}
end

local wallet = open_wallet(user, tonumber(ARGV[9]))
if wallet.balance + amount < 0 then
  return {position, 'REFUSED', 'insufficient_funds', ''}
elseif amount == 0 or wallet.balance + amount > tonumber(ARGV[11]) then
  return {position, 'REFUSED', 'invalid', 'amount'}
end
if wallet.day == tonumber(ARGV[12]) then
  wallet.spent_day = math.max(0, wallet.spent_day - amount)
end
if wallet.month == tonumber(ARGV[13]) then
  wallet.spent_month = math.max(0, wallet.spent_month - amount)
end
append_booking(wallet, amount, counter, tx, memo)
save_wallet(wallet)
redis.call('SET', tx_key, cmsgpack.pack({amount, counter, wallet.balance, wallet.n, now, memo}), 'PX', ARGV[10])
return {position, 'OK', wallet.balance, wallet.n, now}
