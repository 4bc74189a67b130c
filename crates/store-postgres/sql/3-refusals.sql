-- A refused order has no notification: who books it notes that here, in the same transaction.
alter table payonce.orders add column booked_at timestamptz;
create index orders_unbooked on payonce.orders (ledger, number)
  where status = 'refused' and booked_at is null;

update payonce.schema_version set version = 3;
