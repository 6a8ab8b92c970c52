alter table finora.activity drop constraint activity_kind_check,
  add constraint activity_kind_check CHECK (kind in ('buy', 'sell', 'deposit', 'withdraw', 'transfer_in', 'transfer_out', 'swap_in', 'swap_out', 'fee', 'tax', 'reward', 'interest', 'dividend', 'airdrop', 'opening_balance', 'split', 'unknown'));
