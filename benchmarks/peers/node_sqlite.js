// SPDX-License-Identifier: BSL-1.0
// tidepool - better-sqlite3, which blocks its thread: what bench_sqlite measures, as far as it can be compared. The argument is a new file.
'use strict';
const Database = require('better-sqlite3');

const seconds = Number(process.env.SECONDS_A_CASE || 1);
const db = new Database(process.argv[2]);
db.pragma('journal_mode = wal');
db.pragma('synchronous = normal');
db.exec(`create table t (id integer primary key, name text);
  insert into t with recursive n(i) as (select 1 union all select i + 1 from n limit 10000) select i, 'name ' || i from n;
  create table w (task integer, n integer); create index w_task on w (task)`);

function measure(name, turn) {
  for (let i = 0; i < 200; ++i) turn(i);
  const cpu = process.cpuUsage();
  const begin = process.hrtime.bigint();
  let count = 0;
  let end = begin;
  while (Number(end - begin) < seconds * 1e9) {
    for (let i = 0; i < 50; ++i, ++count) turn(count);
    end = process.hrtime.bigint();
  }
  const used = process.cpuUsage(cpu);
  const us = Number(end - begin) / 1e3 / count;
  console.log(`  ${name.padEnd(46)} ${us.toFixed(2).padStart(8)} us ${((used.user + used.system) / count).toFixed(2).padStart(8)} us cpu`);
  return us;
}

console.log(`better-sqlite3 ${require('better-sqlite3/package.json').version}, SQLite ${db.prepare('select sqlite_version()').pluck().get()}, node ${process.version}`);
const one = db.prepare('select ?');
measure('SELECT 1', (i) => one.get(i));
const read = db.prepare('select name from t where id = ?');
measure('point read', (i) => read.get((i % 10000) + 1));
const count = db.prepare('select count(*) from w where task = ?').pluck();
const insert = db.prepare('insert into w values (?, ?)');
const write = db.transaction((task) => insert.run(task, count.get(task)));
const us = measure('one row and one read a transaction', (i) => write.immediate(i % 32));
console.log(`  that is ${(1e6 / us).toFixed(0)} tx/s, one after the other`);
db.close();
