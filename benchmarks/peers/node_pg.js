// SPDX-License-Identifier: BSL-1.0
// tidepool's benchmarks - node-postgres and its pool: the same work as ours.
//
//   node node_pg.js memory    acquire and release by one task; 1,000 tasks on 10 clients that do nothing
//   node node_pg.js threads   nothing: it has one thread
//   node node_pg.js server    prepared SELECT 1 over a Unix socket; $PGHOST, $PGPORT, $PGUSER, $PGDATABASE
//
// Prints "case <TAB> metric <TAB> value"; ns are of processor time. $SECONDS_A_CASE: how long each case is measured.
'use strict';
const { EventEmitter } = require('events');
const pg = require('pg');

const seconds = Number(process.env.SECONDS_A_CASE || 1);
const clock = () => Number(process.hrtime.bigint());
const cpu = () => { const used = process.cpuUsage(); return (used.user + used.system) * 1e3; };
const print = (what, metric, value) => console.log(`${what}\t${metric}\t${value.toFixed(3)}`);

class Nothing extends EventEmitter {
  constructor() {
    super();
    this.uses = 0;
    this._queryable = true;
    this._ending = false;
  }
  connect(done) { process.nextTick(done); }
  end(done) { if (done) process.nextTick(done); }
  isConnected() { return true; }
  getTransactionStatus() { return 'I'; }
}

async function pair() {
  const pool = new pg.Pool({ max: 8, Client: Nothing });
  const go = async (span) => {
    let done = 0;
    for (const end = clock() + span * 1e9; clock() < end; done += 1000) {
      for (let i = 0; i < 1000; ++i) {
        const client = await pool.connect();
        ++client.uses;
        client.release();
      }
    }
    return done;
  };
  await go(0.5);
  const begun = cpu();
  const done = await go(seconds);
  print('pair', 'ns', (cpu() - begun) / done);
  await pool.end();
}

async function handoff(tasks, cycles) {
  const pool = new pg.Pool({ max: 10, Client: Nothing });
  for (let round = 0; round < 2; ++round) { // the first warms up
    let asked = 0, served = 0, worst = 0;
    const task = async () => {
      for (let i = 0; i < cycles / tasks; ++i) {
        const ticket = asked++;
        const client = await pool.connect();
        worst = Math.max(worst, served++ - ticket);
        ++client.uses;
        await new Promise(setImmediate);
        client.release();
      }
    };
    const begun = cpu();
    await Promise.all(Array.from({ length: tasks }, task));
    if (round === 1) {
      print(`handoff/${tasks}`, 'ns', (cpu() - begun) / cycles);
      print(`handoff/${tasks}`, 'overtaking', worst);
    }
  }
  await pool.end();
}

async function server(tasks) {
  const pool = new pg.Pool({ max: 8 });
  const query = { name: 'one', text: 'select 1 as one' };
  const warm = clock() + 0.5e9;
  const end = warm + seconds * 1e9;
  const waits = [];
  let used;
  const task = async () => {
    for (;;) {
      const begun = clock();
      const got = await pool.query(query);
      if (got.rows[0].one !== 1) throw new Error('wrong answer');
      const now = clock();
      if (now >= end) return;
      if (now < warm) continue;
      if (!used) used = cpu();
      waits.push((now - begun) / 1e3);
    }
  };
  await Promise.all(Array.from({ length: tasks }, task));
  used = cpu() - used;
  waits.sort((a, b) => a - b);
  const what = `select1/unix/${tasks}`;
  print(what, 'qps', waits.length / seconds);
  print(what, 'cpu_us', used / 1e3 / waits.length);
  print(what, 'p50_us', waits[Math.floor(waits.length * 0.5)]);
  print(what, 'p99_us', waits[Math.floor(waits.length * 0.99)]);
  await pool.end();
}

(async () => {
  const what = process.argv[2];
  if (what === 'memory') {
    await pair();
    await handoff(1000, 100000);
  } else if (what === 'server') {
    for (const tasks of [8, 64, 1000]) await server(tasks);
  }
})();
