// SPDX-License-Identifier: BSL-1.0
// tidepool - mysql2's pool: the statements that bench_mysql measures, one caller at a time, on the table that it has filled.
'use strict';
const mysql = require('mysql2/promise');

const seconds = Number(process.env.SECONDS_A_CASE || 1);

async function measure(name, turn) {
  for (let i = 0; i < 2000; ++i) await turn(i % 10000 + 1);
  const cpu = process.cpuUsage();
  const begin = process.hrtime.bigint();
  let count = 0;
  let end = begin;
  while (Number(end - begin) < seconds * 1e9) {
    for (let i = 0; i < 50; ++i, ++count) await turn(count % 10000 + 1);
    end = process.hrtime.bigint();
  }
  const used = process.cpuUsage(cpu);
  const us = Number(end - begin) / 1e3 / count;
  console.log(`  ${name.padEnd(46)} ${us.toFixed(2).padStart(8)} us ${((used.user + used.system) / count).toFixed(2).padStart(8)} us cpu`);
}

async function main() {
  const pool = mysql.createPool({
    socketPath: process.env.MYSQL_SOCKET,
    user: process.env.MYSQL_USER,
    database: process.env.MYSQL_DATABASE,
    connectionLimit: 2,
  });
  console.log(`mysql2 ${require('mysql2/package.json').version}, its pool, node ${process.version}`);
  const statements = { 'SELECT 1, as a parameter': 'select ?', 'point read': 'select name from bench_points where id = ?' };
  for (const [name, sql] of Object.entries(statements)) {
    await measure(name, async (id) => {
      const connection = await pool.getConnection();
      const [rows] = await connection.execute(sql, [id]);
      connection.release();
      if (rows.length !== 1) throw new Error('no row');
    });
  }
  await pool.end();
}

main().catch((failure) => {
  console.error(failure);
  process.exit(1);
});
