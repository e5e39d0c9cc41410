// SPDX-License-Identifier: BSL-1.0
// tidepool's benchmarks - clients of Node.js that share few connections among many callers by pipelining.
//
//   node pipelines.js postgres    postgres.js, which pipelines as it comes
//   node pipelines.js pg          node-postgres with `pipeline: true`, each caller with one of eight clients in turn
//
// Prepared point reads over a Unix socket and over TCP, 8 connections; $PGHOST, $PGPORT, $PGUSER, $PGDATABASE. Prints
// "shared/read/VIA/CALLERS <TAB> metric <TAB> value". $SECONDS_A_CASE: how long each case is measured.
'use strict';
const seconds = Number(process.env.SECONDS_A_CASE || 1);
const connections = 8;
const clock = () => Number(process.hrtime.bigint());
const cpu = () => { const used = process.cpuUsage(); return used.user + used.system; };
const { PGHOST, PGPORT, PGUSER, PGDATABASE } = process.env;

/// Asks `ask(id)` by as many callers, and prints what it took.
async function measure(what, callers, ask) {
  const warm = clock() + seconds * 0.5e9;
  const end = warm + seconds * 1e9;
  const waits = [];
  let used, stopped, begun;
  const caller = async (id) => {
    for (;;) {
      const asked = clock();
      id = (id * 1664525 + 1013904223) % 100000;
      const balance = await ask(id + 1);
      if (balance !== id + 1) throw new Error('wrong answer');
      const now = clock();
      if (now >= end) {
        stopped ??= [now, cpu()];
        return;
      }
      if (now < warm) continue;
      begun ??= [now, cpu()];
      waits.push((now - asked) / 1e3);
    }
  };
  await Promise.all(Array.from({ length: callers }, (_, i) => caller(i)));
  waits.sort((a, b) => a - b);
  const print = (metric, value) => console.log(`shared/read/${what}/${callers}\t${metric}\t${value.toFixed(3)}`);
  print('qps', waits.length / (stopped[0] - begun[0]) * 1e9);
  print('cpu_us', (stopped[1] - begun[1]) / waits.length);
  print('p50_us', waits[Math.floor(waits.length * 0.5)]);
  print('p99_us', waits[Math.floor(waits.length * 0.99)]);
}

const ways = {
  async postgres(host, callers, what) {
    const unix = host.startsWith('/');
    const sql = require('postgres')({
      ...(unix ? { path: `${host}/.s.PGSQL.${PGPORT}` } : { host, port: Number(PGPORT) }), user: PGUSER, database: PGDATABASE, max: connections,
    });
    await measure(what, callers, async (id) => (await sql`select balance from accounts where id = ${id}::int4`)[0].balance);
    await sql.end();
  },
  async pg(host, callers, what) {
    const { Client } = require('pg');
    const clients = Array.from({ length: connections }, () => new Client({ host, pipeline: true }));
    await Promise.all(clients.map((one) => one.connect()));
    let next = 0;
    const query = { name: 'read', text: 'select balance from accounts where id = $1::int4' };
    await measure(what, callers, async (id) => {
      const client = clients[next++ % connections];
      return (await client.query({ ...query, values: [id] })).rows[0].balance;
    });
    await Promise.all(clients.map((one) => one.end()));
  },
};

(async () => {
  for (const [host, via] of [[PGHOST, 'unix'], ['127.0.0.1', 'tcp']]) {
    for (const callers of [8, 64, 1000]) await ways[process.argv[2]](host, callers, via);
  }
})();
