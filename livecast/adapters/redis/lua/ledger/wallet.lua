-- A wallet and its statement.
--
--   wallet:<user> (hash)     balance, n (bookings), and what was given in the latest day and month
--   bookings:<user> (list)   the n-th booking: at, amount, balance, counter, tx, memo

local function load_wallet(user)
  local held = redis.call('HMGET', key('wallet', user), 'balance', 'n', 'day', 'spent_day', 'month', 'spent_month')
  return {
    user = user,
    is_new = not held[1],
    balance = tonumber(held[1] or '0'),
    n = tonumber(held[2] or '0'),
    day = tonumber(held[3] or '0'),
    spent_day = tonumber(held[4] or '0'),
    month = tonumber(held[5] or '0'),
    spent_month = tonumber(held[6] or '0'),
  }
end

local function save_wallet(wallet)
  redis.call('HSET', key('wallet', wallet.user), 'balance', wallet.balance, 'n', wallet.n, 'day', wallet.day,
    'spent_day', wallet.spent_day, 'month', wallet.month, 'spent_month', wallet.spent_month)
end

local function book(wallet, amount, counter, tx, memo)
  wallet.balance = wallet.balance + amount
  wallet.n = wallet.n + 1
  redis.call('RPUSH', key('bookings', wallet.user), cmsgpack.pack({now, amount, wallet.balance, counter, tx, memo}))
end

local function append_booking(wallet, amount, counter, tx, memo)
  append(next_position(), 'wallet', 'user', wallet.user, 'tx', tx, 'amount', amount, 'balance', wallet.balance + amount,
    'number', wallet.n + 1, 'counter', counter, 'memo', memo)
  book(wallet, amount, counter, tx, memo)
end

-- The wallet; one that was never touched begins with the opening balance.
local function open_wallet(user, opening)
  local wallet = load_wallet(user)
  if wallet.is_new then
    if opening > 0 then
      append_booking(wallet, opening, 'opening', 'opening', '')
    end
    save_wallet(wallet)
  end
  return wallet
end
