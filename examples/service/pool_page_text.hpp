// SPDX-License-Identifier: BSL-1.0
// tidepool - the page itself: HTML, CSS and JavaScript, without anything from elsewhere.
#ifndef TIDEPOOL_EXAMPLES_POOL_PAGE_TEXT_HPP
#define TIDEPOOL_EXAMPLES_POOL_PAGE_TEXT_HPP

inline constexpr const char* pool_page_html = R"page(<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Pools</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/pool/page.css">
<header>
  <h1>Pools</h1>
  <span id="line" class="badge" role="status">connecting</span>
</header>
<main id="pools"></main>
<section class="card" id="log-card">
  <h2>Last events</h2>
  <ol id="log"></ol>
</section>
<section class="card" id="control-card">
  <h2>Control</h2>
  <p id="control-off">Off. It is on where the service has a token: <code>POOL_CONTROL_TOKEN</code>, 16 characters or more.</p>
  <form id="control-on" hidden autocomplete="off">
    <label>Token <input id="token" type="password" size="24" autocomplete="off"></label>
    <span id="told" role="status"></span>
  </form>
</section>

<template id="pool">
  <section class="card pool">
    <div class="title">
      <h2 data-text="name"></h2>
      <span class="badge" data-text="state"></span>
      <span class="quiet" data-text="reason"></span>
      <span class="badge health" data-text="health"></span>
    </div>
    <p class="trouble" data-text="trouble" hidden></p>
    <div class="bar" data-id="bar" role="img"></div>
    <ul class="legend" data-id="legend"></ul>
    <dl class="tiles" data-id="tiles"></dl>
    <div class="columns">
      <div class="wide">
        <h3>Leases <span class="quiet" data-text="leases-count"></span></h3>
        <div class="scroll"><table>
          <thead><tr><th>connection<th>held<th>from<th>label<th></thead>
          <tbody data-id="leases"></tbody>
        </table></div>
        <p class="quiet empty" data-id="no-leases">Nobody holds a connection.</p>
        <h3>Queue <span class="quiet" data-text="queue-count"></span></h3>
        <table><tbody data-id="callers"></tbody></table>
        <p class="quiet empty" data-id="no-callers">Nobody waits.</p>
      </div>
      <div>
        <h3>Waits of the last minute</h3>
        <div class="histogram" data-id="histogram"></div>
        <h3>Leased and waiting <span class="quiet">since this page is open</span></h3>
        <svg class="history" data-id="history" viewBox="0 0 300 60" preserveAspectRatio="none" aria-hidden="true"></svg>
        <h3>Advice on its size</h3>
        <p class="advice" data-text="advice"></p>
        <table><tbody data-id="sizes"></tbody></table>
      </div>
    </div>
    <div class="verbs" data-id="verbs" hidden>
      <button type="button" data-verb="suspend">Suspend</button>
      <button type="button" data-verb="resume">Resume</button>
      <button type="button" data-verb="recycle">Recycle</button>
      <span data-id="resize">
        <label>min <input data-id="min" type="number" min="0" inputmode="numeric"></label>
        <label>max <input data-id="max" type="number" min="1" inputmode="numeric"></label>
        <button type="button" data-verb="resize">Resize</button>
      </span>
    </div>
  </section>
</template>
<noscript><p class="card">This page needs JavaScript; <code>/stats</code> has the figures without it.</p></noscript>
<script src="/pool/page.js"></script>
</html>
)page";

inline constexpr const char* pool_page_css = R"page(
:root {
  --back: #f3f5f7; --card: #ffffff; --text: #1b2530; --quiet: #5c6b7a; --line: #d9e0e6; --accent: #0b6e8f;
  --leased: #0b6e8f; --idle: #7fb8a4; --connecting: #d9a441; --validating: #9b7fc4; --resetting: #c48a7f; --closing: #9aa5b0; --free: #e6ebef;
  --good: #1f7a4d; --warn: #9a6400; --bad: #b3261e; --good-back: #e2f3ea; --warn-back: #fdf0d5; --bad-back: #fbe4e2;
}
@media (prefers-color-scheme: dark) {
  :root {
    --back: #10161c; --card: #19222b; --text: #e3e9ee; --quiet: #93a3b1; --line: #2c3944; --accent: #55b8d9;
    --leased: #3fa3c7; --idle: #3d7d68; --connecting: #c08f33; --validating: #8a6fb3; --resetting: #b0786d; --closing: #66727d; --free: #26313b;
    --good: #6fd3a0; --warn: #edb95e; --bad: #ff8a80; --good-back: #17352a; --warn-back: #3a2e14; --bad-back: #421d1b;
  }
}
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 16px; max-width: 1180px; background: var(--back); color: var(--text);
  font: 15px/1.45 system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; }
header { display: flex; align-items: center; gap: 12px; margin: 4px 2px 14px; }
h1 { font-size: 22px; margin: 0; letter-spacing: -0.01em; }
h2 { font-size: 18px; margin: 0; }
h3 { font-size: 13px; margin: 18px 0 6px; text-transform: uppercase; letter-spacing: 0.04em; color: var(--quiet); font-weight: 600; }
h3 .quiet { text-transform: none; letter-spacing: 0; font-weight: 400; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 16px 18px; margin-bottom: 16px; }
.title { display: flex; flex-wrap: wrap; align-items: center; gap: 6px 10px; margin-bottom: 12px; }
.quiet { color: var(--quiet); }
.badge { border-radius: 999px; padding: 1px 10px; font-size: 13px; font-weight: 600; background: var(--free); color: var(--quiet); white-space: nowrap; }
.badge.good { background: var(--good-back); color: var(--good); }
.badge.warn { background: var(--warn-back); color: var(--warn); }
.badge.bad { background: var(--bad-back); color: var(--bad); }
.health { margin-left: auto; }
.trouble { background: var(--bad-back); color: var(--bad); border-radius: 6px; padding: 6px 10px; margin: 0 0 12px; overflow-wrap: anywhere; }
.bar { display: flex; height: 26px; border-radius: 6px; overflow: hidden; background: var(--free); }
.bar span { transition: flex-grow 0.4s; min-width: 0; }
.bar span + span { border-left: 1px solid var(--card); }
.legend { display: flex; flex-wrap: wrap; gap: 2px 16px; margin: 8px 0 0; padding: 0; list-style: none; font-size: 13px; color: var(--quiet); }
.legend b { color: var(--text); font-variant-numeric: tabular-nums; }
.legend i { display: inline-block; width: 10px; height: 10px; border-radius: 3px; margin-right: 6px; }
.leased { background: var(--leased); } .idle { background: var(--idle); } .connecting { background: var(--connecting); }
.validating { background: var(--validating); } .resetting { background: var(--resetting); } .closing { background: var(--closing); } .free { background: var(--free); }
.tiles { display: grid; grid-template-columns: repeat(4, 1fr); gap: 8px; margin: 14px 0 0; }
.tiles div { border: 1px solid var(--line); border-radius: 8px; padding: 7px 10px; }
.tiles dt { font-size: 12px; color: var(--quiet); }
.tiles dd { margin: 0; font-size: 18px; font-weight: 600; font-variant-numeric: tabular-nums; }
.tiles .bad dd { color: var(--bad); } .tiles .warn dd { color: var(--warn); }
.columns { display: grid; grid-template-columns: minmax(0, 1fr); gap: 0 28px; }
@media (min-width: 860px) { .columns { grid-template-columns: minmax(0, 3fr) minmax(0, 2fr); } }
.scroll { overflow-x: auto; } .scroll table { min-width: 480px; }
table { border-collapse: collapse; width: 100%; font-size: 14px; }
th { text-align: left; font-size: 12px; font-weight: 500; color: var(--quiet); padding: 2px 8px 2px 0; }
td { border-top: 1px solid var(--line); padding: 5px 8px 5px 0; vertical-align: top; overflow-wrap: anywhere; }
td.number { font-variant-numeric: tabular-nums; white-space: nowrap; }
td.place { font-family: ui-monospace, "DejaVu Sans Mono", monospace; font-size: 13px; }
td:last-child { padding-right: 0; text-align: right; }
td .badge { margin-left: 6px; }
.empty { margin: 2px 0; }
.histogram { display: grid; grid-template-columns: auto 1fr auto; gap: 3px 8px; font-size: 13px; align-items: center; font-variant-numeric: tabular-nums; }
.histogram .much { text-align: right; }
.histogram .track { height: 12px; border-radius: 3px; background: var(--free); overflow: hidden; }
.histogram .track span { display: block; height: 100%; background: var(--accent); }
.history { width: 100%; height: 60px; background: var(--back); border-radius: 6px; display: block; }
.history polyline { fill: none; stroke-width: 2; vector-effect: non-scaling-stroke; }
.history .leased-line { stroke: var(--leased); } .history .waiting-line { stroke: var(--bad); }
.advice { margin: 0 0 6px; } tr.now td { font-weight: 600; }
.verbs { display: flex; flex-wrap: wrap; gap: 8px; align-items: center; border-top: 1px solid var(--line); margin-top: 16px; padding-top: 14px; }
.verbs > span { display: inline-flex; flex-wrap: wrap; gap: 8px; align-items: center; }
.verbs[hidden], .verbs > span[hidden], form[hidden] { display: none; }
button, input { font: inherit; color: inherit; background: var(--back); border: 1px solid var(--line); border-radius: 6px; padding: 4px 12px; }
button { cursor: pointer; white-space: nowrap; } button:hover { border-color: var(--accent); }
button.small { font-size: 13px; padding: 0 8px; }
input[type=number] { width: 84px; }
label { color: var(--quiet); font-size: 14px; }
#log { list-style: none; margin: 8px 0 0; padding: 0; max-height: 320px; overflow-y: auto; font-size: 13px; }
#log li { display: grid; grid-template-columns: auto 1fr; gap: 10px; padding: 3px 0; border-top: 1px solid var(--line); overflow-wrap: anywhere; }
#log time { color: var(--quiet); font-variant-numeric: tabular-nums; }
#log .warning { color: var(--warn); } #log .error { color: var(--bad); }
#told.bad { color: var(--bad); } #told.good { color: var(--good); }
#control-card p { margin: 6px 0 0; } #control-on { margin-top: 8px; }
@media (max-width: 560px) { .tiles { grid-template-columns: repeat(2, 1fr); } body { padding: 8px; } .card { padding: 12px; } .health { margin-left: 0; } #log li { grid-template-columns: 1fr; gap: 0; } }
)page";

// Everything from the pool goes into the page by `textContent`.
inline constexpr const char* pool_page_js = R"page('use strict';
const find = (id) => document.getElementById(id);
const states = ['leased', 'idle', 'connecting', 'validating', 'resetting', 'closing'];
const pools = [];  // of each pool: its elements, and what was seen of it
let controlled = false;

function make(tag, kind, text) {
  const out = document.createElement(tag);
  if (kind) out.className = kind;
  if (text !== undefined) out.textContent = text;
  return out;
}
function time(seconds) {
  if (seconds === null) return 'never';
  if (seconds >= 3600) return Math.floor(seconds / 3600) + ' h ' + Math.floor(seconds % 3600 / 60) + ' min';
  if (seconds >= 60) return Math.floor(seconds / 60) + ' min ' + Math.floor(seconds % 60) + ' s';
  if (seconds >= 1) return seconds.toFixed(1) + ' s';
  if (seconds >= 0.001) return (seconds * 1e3).toPrecision(3) + ' ms';
  return seconds > 0 ? (seconds * 1e6).toFixed(0) + ' \u00b5s' : '0';
}
function count(n) { return n.toLocaleString('en'); }
function place(of) { return of.file ? of.file.split('/').pop() + ':' + of.line : 'not known'; }
/* One child for each item, kept from time to time, so that what is being clicked on stays. */
function list(parent, items, key, create, update) {
  const known = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  items.forEach((item, i) => {
    const name = String(key(item, i));
    let child = known.get(name);
    known.delete(name);
    if (!child) {
      child = create(item);
      child.dataset.key = name;
    }
    update(child, item);
    if (parent.children[i] !== child) parent.insertBefore(child, parent.children[i] || null);
  });
  for (const child of known.values()) child.remove();
}
function row(cells) {
  return () => {
    const out = make('tr');
    for (const kind of cells) out.append(make('td', kind));
    return out;
  };
}

function poolAt(i) {
  if (pools[i]) return pools[i];
  const root = find('pool').content.cloneNode(true).firstElementChild;
  const one = {root, history: []};
  one.part = (name) => root.querySelector('[data-id="' + name + '"]');
  one.text = (name) => root.querySelector('[data-text="' + name + '"]');
  root.dataset.pool = i;
  for (const button of root.querySelectorAll('[data-verb]')) {
    button.addEventListener('click', () => {
      const size = button.dataset.verb === 'resize' ? '/' + Number(one.part('min').value) + '/' + Number(one.part('max').value) : '';
      control(i, button.dataset.verb + size);
    });
  }
  find('pools').append(root);
  pools[i] = one;
  return one;
}

function showPool(i, data) {
  const one = poolAt(i), seen = data.inspection, s = seen.stats;
  const good = {healthy: 'good', starting: '', suspended: 'warn', degraded: 'warn'};
  one.text('name').textContent = s.name;
  one.text('state').textContent = s.state;
  one.text('state').className = 'badge ' + (s.state in good ? good[s.state] : 'bad');
  one.text('reason').textContent = seen.reason;
  one.text('health').textContent = data.health + (data.health_reason ? ': ' + data.health_reason : '');
  one.text('health').className = 'badge health ' + {healthy: 'good', degraded: 'warn', unhealthy: 'bad'}[data.health];
  const trouble = [];
  if (seen.connect_failures > 0) {
    trouble.push(count(seen.connect_failures) + ' failed connects in a row, for ' + time(seen.connecting_fails_for) + ': ' + seen.last_connect_error);
  }
  if (s.silent > 0) trouble.push('the server ' + seen.silent_server + ' has not answered ' + count(s.silent) + ' leases for ' + time(s.longest_silence));
  one.text('trouble').textContent = trouble.join('; ');
  one.text('trouble').hidden = trouble.length === 0;

  const numbers = {leased: s.active_connections, idle: s.idle_connections, connecting: s.connecting, validating: s.validating, resetting: s.resetting,
    closing: s.closing};
  const free = Math.max(0, s.max_size - s.total_connections);
  const parts = [...states.map((name) => [name, numbers[name]]), ['free', free]];
  list(one.part('bar'), parts, (p) => p[0], (p) => make('span', p[0]), (span, p) => {
    span.style.flexGrow = p[1];
    span.hidden = p[1] === 0;
    span.title = p[0] + ': ' + p[1];
  });
  one.part('bar').setAttribute('aria-label', parts.map((p) => p[1] + ' ' + p[0]).join(', '));
  list(one.part('legend'), parts.filter((p) => p[1] > 0 || p[0] === 'leased' || p[0] === 'idle'), (p) => p[0], (p) => {
    const out = make('li');
    out.append(make('i', p[0]), make('b'), make('span', '', ' ' + (p[0] === 'free' ? 'may be opened' : p[0])));
    return out;
  }, (li, p) => { li.querySelector('b').textContent = count(p[1]); });

  const recent = data.recent, a_second = recent.seconds > 0 ? 1 / recent.seconds : 0;
  const rate = recent.checkouts * a_second;
  const tiles = [
    ['waiting', count(s.waiting), s.waiting > 0 ? 'warn' : ''],
    ['checkouts a second', rate >= 100 ? count(Math.round(rate)) : rate.toFixed(1), ''],
    ['failed, last minute', count(recent.failed), recent.failed > 0 ? 'bad' : ''],
    ['wait p50 / p99', time(s.wait_time.p50) + ' / ' + time(s.wait_time.p99), ''],
    ['hold p50 / p99', time(s.hold_time.p50) + ' / ' + time(s.hold_time.p99), ''],
    ['leaks out / ever', count(s.leaked) + ' / ' + count(s.leaks_detected), s.leaked > 0 ? 'bad' : ''],
    ['size, min to max', s.min_size + ' to ' + s.max_size, ''],
    ['breaker', s.breaker, s.breaker === 'closed' ? '' : 'bad'],
  ];
  list(one.part('tiles'), tiles, (t) => t[0], (t) => {
    const out = make('div');
    out.append(make('dt', '', t[0]), make('dd'));
    return out;
  }, (div, t) => {
    div.className = t[2];
    div.querySelector('dd').textContent = t[1];
  });

  one.text('leases-count').textContent = seen.leases.length < s.active_connections ? 'the first ' + seen.leases.length + ' of ' + count(s.active_connections) : '';
  list(one.part('leases'), seen.leases, (l) => l.connection, row(['number', 'number', 'place', '', '']), (tr, l) => {
    const [id, held, from, label, act] = tr.children;
    id.textContent = '#' + l.connection;
    held.textContent = time(l.held);
    if (l.reported) held.append(make('span', 'badge bad', 'leak'));
    from.textContent = place(l);
    from.title = l.function;
    label.textContent = l.label + (l.waiting_for_server > 1 ? ' (no answer for ' + time(l.waiting_for_server) + ')' : '');
    if (!act.firstChild) {
      const button = make('button', 'small', 'Close');
      button.type = 'button';
      button.title = 'shut this connection under its holder';
      button.addEventListener('click', () => control(i, 'reclaim/' + tr.dataset.key));
      act.append(button);
    }
    act.firstChild.hidden = !controlled;
  });
  one.part('no-leases').hidden = seen.leases.length > 0;
  one.text('queue-count').textContent = seen.callers.length < s.waiting ? 'the first ' + seen.callers.length + ' of ' + count(s.waiting) : '';
  list(one.part('callers'), seen.callers, (c, n) => n, row(['number', 'place']), (tr, c) => {
    tr.children[0].textContent = time(c.waited);
    tr.children[1].textContent = place(c);
    tr.children[1].title = c.function;
  });
  one.part('no-callers').hidden = seen.callers.length > 0;

  const most = Math.max(1, ...recent.waits.map((w) => w[1]));
  const cells = recent.waits.flatMap((w, n) => [['bound', n, w], ['track', n, w], ['much', n, w]]);
  list(one.part('histogram'), cells, (c) => c[0] + c[1], (c) => {
    const out = make('span', c[0]);
    if (c[0] === 'track') out.append(make('span'));
    return out;
  }, (cell, [kind, n, w]) => {
    if (kind === 'bound') cell.textContent = w[0] === null ? 'longer' : '\u2264 ' + time(w[0] / 1e6);
    if (kind === 'much') cell.textContent = count(w[1]);
    if (kind === 'track') cell.firstChild.style.width = (100 * w[1] / most) + '%';
  });

  one.history.push([s.active_connections, s.waiting]);
  if (one.history.length > 300) one.history.shift();
  const top = Math.max(s.max_size, ...one.history.map((h) => Math.max(h[0], h[1])), 1);
  list(one.part('history'), ['leased-line', 'waiting-line'], (name) => name, (name) => {
    const out = document.createElementNS('http://www.w3.org/2000/svg', 'polyline');
    out.setAttribute('class', name);
    return out;
  }, (line, name) => {
    const which = name === 'leased-line' ? 0 : 1, wide = Math.max(60, one.history.length - 1);
    line.setAttribute('points', one.history.map((h, n) => (300 * n / wide).toFixed(1) + ',' + (57 - 54 * h[which] / top).toFixed(1)).join(' '));
  });

  const advice = data.advice;
  one.text('advice').textContent = !advice.known ? 'None yet: ' + advice.why :
    'max_size ' + advice.max_size + ' and min_size ' + advice.min_size + ' suit ' + advice.arrivals.toPrecision(3) + ' acquires a second that hold ' +
    time(advice.mean_hold) + ' each, so that 99 of 100 wait for ' + time(advice.goal) + ' at most.';
  const sizes = advice.known ? [...advice.around.filter((one) => one.size !== advice.now.size), advice.now].sort((a, b) => a.size - b.size) : [];
  list(one.part('sizes'), sizes, (size) => size.size, row(['number', 'number', 'number']), (tr, size) => {
    tr.className = size.size === s.max_size ? 'now' : '';
    tr.children[0].textContent = size.size + (size.size === s.max_size ? ' (now)' : size.size === advice.max_size ? ' (advised)' : '');
    tr.children[1].textContent = 'p99 wait ' + time(size.p99_wait);
    tr.children[2].textContent = 'all leased ' + (100 * size.at_limit).toFixed(1) + ' %';
  });

  one.part('verbs').hidden = !controlled;
  one.part('resize').hidden = !data.may_be_resized;
  for (const [name, value] of [['min', s.min_size], ['max', s.max_size]]) {
    if (one.part(name).value === '') one.part(name).value = value;
  }
}

function show(data) {
  controlled = data.control;
  find('control-off').hidden = controlled;
  find('control-on').hidden = !controlled;
  data.pools.forEach((pool, i) => showPool(i, pool));
  document.title = data.pools.map((p) => p.inspection.stats.name + ' ' + p.inspection.stats.state).join(', ');
  list(find('log'), [...data.log].reverse(), (line) => line.number, (line) => {
    const out = make('li'), at = new Date(line.at_ms);
    out.append(make('time', '', at.toTimeString().slice(0, 8)), make('span', line.level, line.text));
    return out;
  }, () => {});
}

async function control(pool, verb) {
  const told = find('told');
  const say = (text, kind) => {
    told.textContent = text;
    told.className = kind;
  };
  const token = find('token').value;
  if (!token) {
    find('token').focus();
    return say('the token is missing', 'bad');
  }
  try {
    const answer = await fetch('/pool/control/' + pool + '/' + verb, {method: 'POST', headers: {Authorization: 'Bearer ' + token}});
    const body = await answer.json();
    say(answer.ok ? verb + ': done' : verb + ': ' + body.error, answer.ok ? 'good' : 'bad');
  } catch (failed) {
    say(verb + ': ' + failed.message, 'bad');
  }
}

find('control-on').addEventListener('submit', (event) => event.preventDefault());
const line = find('line'), events = new EventSource('/pool/events');
events.onmessage = (event) => {
  line.textContent = 'live';
  line.className = 'badge good';
  show(JSON.parse(event.data));
};
events.onerror = () => {
  line.textContent = 'no answer, trying again';
  line.className = 'badge bad';
};
)page";

#endif
