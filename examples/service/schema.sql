-- tidepool - the data of the example service.
create table accounts (
  id bigint primary key,
  owner text not null,
  balance bigint not null check (balance >= 0)
);
create table transfers (
  key text primary key,  -- chosen by the client: asking twice moves the money once
  payer bigint not null references accounts,
  payee bigint not null references accounts,
  amount bigint not null check (amount > 0),
  at timestamptz not null default now()
);
insert into accounts select n, 'customer ' || n, 1000000 from generate_series(1, 1000) n;
analyze accounts;
