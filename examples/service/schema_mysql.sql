-- tidepool - the data of the example service, for MySQL and MariaDB.
create table accounts (
  id bigint primary key,
  owner text not null,
  balance bigint not null check (balance >= 0)
);
create table transfers (
  `key` varchar(100) primary key,  -- chosen by the client: asking twice moves the money once
  payer bigint not null,
  payee bigint not null,
  amount bigint not null check (amount > 0),
  at timestamp not null default current_timestamp,
  foreign key (payer) references accounts (id),
  foreign key (payee) references accounts (id)
);
insert into accounts
  with recursive n(i) as (select 1 union all select i + 1 from n where i < 1000)
  select i, concat('customer ', i), 1000000 from n;
