-- What a user's own transaction orders, beside their balance.
create table payonce.orders (
  ledger bigint not null references payonce.ledgers (number),
  payment_id bytea not null check (octet_length(payment_id) = 32),
  number bigint generated always as identity,
  payment_hash bytea not null check (octet_length(payment_hash) = 32),
  amount_msat bigint not null check (amount_msat > 0),
  max_fee_msat bigint not null check (max_fee_msat >= 0),
  attempts integer not null check (attempts > 0),
  payee bytea check (octet_length(payee) = 33),
  expires_at_ms bigint check (expires_at_ms >= 0),
  instructions bytea check (octet_length(instructions) <= 16384),
  metadata bytea check (octet_length(metadata) <= 1024),
  ordered_at timestamptz not null default clock_timestamp(),
  status text not null default 'ordered' check (status in ('ordered', 'accepted', 'refused')),
  refusal text,
  answered_at timestamptz,
  primary key (ledger, payment_id)
);
create index orders_open on payonce.orders (ledger, number) where status = 'ordered';

-- What became of them: one row a notification, told at least once by the writer and kept once.
create table payonce.outcomes (
  ledger bigint not null,
  seq bigint not null check (seq > 0),
  log_hash_prefix bytea not null check (octet_length(log_hash_prefix) = 8),
  payment_id bytea not null,
  outcome text not null check (outcome in ('sent', 'failed', 'settled')),
  reason text,
  amount_msat bigint,
  fee_msat bigint,
  preimage bytea check (octet_length(preimage) = 32),
  told_at timestamptz not null default clock_timestamp(),
  booked_at timestamptz,
  primary key (ledger, seq),
  foreign key (ledger, payment_id) references payonce.orders (ledger, payment_id)
);
create index outcomes_unbooked on payonce.outcomes (ledger, seq) where booked_at is null;

update payonce.schema_version set version = 2;
