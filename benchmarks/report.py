# SPDX-License-Identifier: BSL-1.0
# tidepool - turns what benchmarks/run.sh measured into the tables and plots of benchmarks/README.md.
#
#   report.py RESULTS README FOLDER    reads RESULTS/*.json (Google Benchmark) and RESULTS/*.tsv, one file a round; writes FOLDER/README.md,
#                                      which is README with the text between "<!-- NAME -->" and "<!-- end -->" made anew, and FOLDER/*.svg
#
# A part that was not measured keeps the text it has. Nothing but Python's own library is needed.
import glob
import json
import math
import os
import platform
import re
import statistics
import subprocess
import sys

values = {}  # (who, case, metric): one value a round
UNITS = {"ns": 1.0, "us": 1e3, "ms": 1e6, "s": 1e9}
OURS = "tidepool"


def load(folder):
    for path in sorted(glob.glob(os.path.join(folder, "*.json"))):
        program = os.path.basename(path).split(".")[0]
        with open(path) as file:
            for run in json.load(file)["benchmarks"]:
                if run.get("run_type") == "aggregate":
                    continue
                case = f"{program}/{run['name']}"
                if "items_per_second" in run:
                    # Rates of programs of one thread are by processor time; those of several by the wall's, so take that out again.
                    cpu = run["cpu_time"] / run["real_time"] if "/real_time" in run["name"] else 1
                    add(OURS, case, "ns", 1e9 / run["items_per_second"] * cpu)
                    add(OURS, case, "mpairs", run["items_per_second"] / 1e6)
                else:
                    add(OURS, case, "ns", run["cpu_time"] * UNITS[run["time_unit"]])
                known = {"iterations", "real_time", "cpu_time", "items_per_second", "threads", "repetitions", "repetition_index",
                         "family_index", "per_family_instance_index"}
                for key, value in run.items():
                    if key not in known and isinstance(value, (int, float)):
                        add(OURS, case, key, value)
    for path in sorted(glob.glob(os.path.join(folder, "*.tsv"))):
        prefix = os.path.basename(path).split(".")[0]
        with open(path) as file:
            for line in file:
                fields = line.rstrip("\n").split("\t")
                who = fields.pop(0) if len(fields) == 4 else prefix
                case, metric, value = fields
                if prefix == "headers":
                    who, case = prefix, f"{who}/{case}"
                add(who, case, metric, float(value))


def add(who, case, metric, value):
    values.setdefault((who, case, metric), []).append(value)


def get(who, case, metric):
    found = values.get((who, case, metric))
    return statistics.median(found) if found else None


def ours(case, metric="ns"):
    return get(OURS, case, metric)


def number(x, digits=3):
    """As many digits as mean something on a noisy machine; 0: a whole number."""
    if x is None:
        return "–"
    if x == 0:
        return "0"
    if digits == 0:
        return f"{x:,.0f}"
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(x))))
    return f"{round(x, digits - 1 - math.floor(math.log10(abs(x)))):,.{min(decimals, 3)}f}"


def ratio(x, floor):
    return "–" if x is None or not floor else f"{x / floor:.2f}"


def spread(who, case, metric):
    found = values.get((who, case, metric))
    return "–" if not found else f"{number(min(found))}–{number(max(found))}"


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines)


# --- plots ------------------------------------------------------------------------------------------------------------------------
INK, PAPER, GRID, MINE, THEIRS, FLOOR = "#222", "#fff", "#ddd", "#0a6e8a", "#9aa5ab", "#d7b25e"


def escape(text):
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def svg(width, height, body):
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
            f'font-family="sans-serif" font-size="13" fill="{INK}">\n<rect width="{width}" height="{height}" fill="{PAPER}"/>\n'
            + "\n".join(body) + "\n</svg>\n")


def bars(title, note, rows, logarithmic=True):
    """rows: (label, value, colour)"""
    rows = [row for row in rows if row[1]]
    if not rows:
        return None
    left, right, top, step = 230, 90, 58, 26
    width, height = 760, top + step * len(rows) + 14
    span = width - left - right
    low = 10 ** math.floor(math.log10(min(v for _, v, _ in rows))) if logarithmic else 0
    high = max(v for _, v, _ in rows)

    def at(v):
        return span * (math.log(v / low) / math.log(high / low) if logarithmic else v / high)

    body = [f'<text x="16" y="24" font-size="16" font-weight="bold">{escape(title)}</text>',
            f'<text x="16" y="43" fill="#666">{escape(note)}</text>']
    if logarithmic:
        tick = low
        while tick <= high:
            x = left + at(tick)
            body.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{top - 4}" y2="{height - 10}" stroke="{GRID}"/>')
            tick *= 10
    for i, (label, v, colour) in enumerate(rows):
        y = top + i * step
        body.append(f'<text x="{left - 8}" y="{y + 15}" text-anchor="end">{escape(label)}</text>')
        body.append(f'<rect x="{left}" y="{y + 2}" width="{max(at(v), 1):.1f}" height="{step - 8}" fill="{colour}"/>')
        body.append(f'<text x="{left + at(v) + 6:.1f}" y="{y + 15}">{number(v)}</text>')
    return svg(width, height, body)


def lines(title, note, x_label, y_label, series, log_x=True, log_y=True):
    """series: (label, colour, [(x, y)])"""
    series = [(label, colour, [p for p in points if p[1]]) for label, colour, points in series]
    series = [one for one in series if one[2]]
    if not series:
        return None
    width, height, left, right, top, bottom = 760, 380, 70, 180, 60, 50
    xs = [x for _, _, points in series for x, _ in points]
    ys = [y for _, _, points in series for _, y in points]

    def scale(low, high, length, logarithmic):
        if logarithmic:
            low, high = 10 ** math.floor(math.log10(low)), 10 ** math.ceil(math.log10(high) - 1e-9)
            if low == high:
                high = low * 10
            ticks = [10.0 ** n for n in range(round(math.log10(low)), round(math.log10(high)) + 1)]
            return (lambda v: length * math.log(v / low) / math.log(high / low)), ticks
        return (lambda v: length * (v - low) / (high - low)), sorted(set([low, high]))

    to_x, x_ticks = scale(min(xs), max(xs), width - left - right, log_x)
    if not log_x:
        x_ticks = sorted(set(xs))
    to_y, y_ticks = scale(min(ys), max(ys), height - top - bottom, log_y)
    body = [f'<text x="16" y="24" font-size="16" font-weight="bold">{escape(title)}</text>',
            f'<text x="16" y="43" fill="#666">{escape(note)}</text>']
    for v in x_ticks:
        x = left + to_x(v)
        body.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{top}" y2="{height - bottom}" stroke="{GRID}"/>')
        body.append(f'<text x="{x:.1f}" y="{height - bottom + 18}" text-anchor="middle">{v:,g}</text>')
    for v in y_ticks:
        y = height - bottom - to_y(v)
        body.append(f'<line x1="{left}" x2="{width - right}" y1="{y:.1f}" y2="{y:.1f}" stroke="{GRID}"/>')
        body.append(f'<text x="{left - 8}" y="{y + 4:.1f}" text-anchor="end">{v:,g}</text>')
    body.append(f'<text x="{(left + width - right) / 2}" y="{height - 10}" text-anchor="middle">{escape(x_label)}</text>')
    body.append(f'<text transform="translate(18 {(top + height - bottom) / 2}) rotate(-90)" text-anchor="middle">{escape(y_label)}</text>')
    taken = []
    for label, colour, points in series:
        path = " ".join(f"{left + to_x(x):.1f},{height - bottom - to_y(y):.1f}" for x, y in points)
        body.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        for x, y in points:
            body.append(f'<circle cx="{left + to_x(x):.1f}" cy="{height - bottom - to_y(y):.1f}" r="3" fill="{colour}"/>')
        y = height - bottom - to_y(points[-1][1]) + 4
        while any(abs(y - other) < 15 for other in taken):
            y += 5
        taken.append(y)
        body.append(f'<text x="{width - right + 8}" y="{y:.1f}" fill="{colour}">{escape(label)}</text>')
    return svg(width, height, body)


# --- tables -----------------------------------------------------------------------------------------------------------------------
NAMES = {"hikaricp": "HikariCP (Java)", "pgx": "puddle / pgxpool (Go)", "asyncpg": "asyncpg (Python)", "psycopg": "psycopg_pool (Python)",
         "node-pg": "node-postgres", "pgbench": "pgbench (no pool)"}
PEERS = ["hikaricp", "pgx", "node-pg", "psycopg", "asyncpg"]


def today():
    return subprocess.run(["date", "+%Y-%m-%d"], capture_output=True, text=True).stdout.strip()


def machine():
    try:
        with open("/proc/cpuinfo") as file:
            cpu = re.search(r"model name\s*: (.*)", file.read()).group(1)
    except (OSError, AttributeError):
        cpu = platform.processor() or "unknown processor"

    def first_line(*command):
        try:
            return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[0]
        except (OSError, subprocess.CalledProcessError, IndexError):
            return "none"
    rounds = len(values.get((OURS, "handoff/handoff<defaults>/1000", "ns"), []))
    if rounds == 0:
        return ""
    return (f"{today()}: {os.cpu_count()} × {cpu}, Linux {platform.release()}; {first_line('g++', '--version')}; "
            f"{first_line('psql', '--version')}. Medians of {rounds} rounds.")


def uncontended():
    child, mutex = ours("acquire/floor_child"), ours("acquire/floor_mutex")
    rows = []

    def row(label, case, floor_label, floor):
        if ours(case):
            rows.append((label, number(ours(case)), spread(OURS, case, "ns"), floor_label, number(floor), ratio(ours(case), floor)))

    child_label = "child coroutine + mutex pair"
    row("`co_await acquire()`, default policies", "acquire/acquire<defaults>", child_label, child)
    row("the same, `any_io_executor`", "acquire/acquire<any_executor>", child_label, child)
    row("the same, `null_mutex`", "acquire/acquire<one_thread>", "child coroutine", ours("acquire/floor_child_alone"))
    row("all policies off, `null_mutex`", "acquire/acquire<bare>", "child coroutine", ours("acquire/floor_child_alone"))
    row("`try_acquire()`, default policies", "acquire/try_acquire<defaults>", "mutex pair", mutex)
    row("the same, `null_mutex`", "acquire/try_acquire<one_thread>", "mutex pair", mutex)
    row("all policies off, `null_mutex`", "acquire/try_acquire<bare>", "mutex pair", mutex)
    row("`async_acquire`, callback", "acquire/async_acquire_callback", "posted callback", ours("acquire/floor_post_callback"))
    row("`async_acquire`, `use_awaitable`", "acquire/async_acquire_awaitable", "posted, `use_awaitable`", ours("acquire/floor_post"))
    row("`async_acquire`, `deferred`", "acquire/async_acquire_deferred", "posted, `deferred`", ours("acquire/floor_post_deferred"))
    row("`async_acquire`, `use_future`", "acquire/async_acquire_future", "posted, `use_future`", ours("acquire/floor_post_future"))
    return table(["acquire + release", "ns", "range", "floor", "ns", "ratio"], rows)


POLICIES = [("health", "health checks"), ("leaks", "leak tracking"), ("scaling", "auto-scaling"), ("lifetime", "lifetimes"),
            ("breaker", "circuit breaker")]


def quickest(case):
    found = values.get((OURS, case, "ns"))
    return min(found) if found else None


def policies():
    rows = []  # noise only ever adds, and these differences are small: of the quickest runs, then
    everything, nothing = quickest("acquire/acquire<defaults>"), quickest("acquire/acquire<bare>")
    for key, label in POLICIES:
        without, alone = quickest(f"acquire/acquire<without_{key}>"), quickest(f"acquire/acquire<only_{key}>")
        if without and alone and everything and nothing:
            rows.append((label, number(without), f"{everything - without:+.1f}", number(alone), f"{alone - nothing:+.1f}"))
    for case, label in (("every_lease_timed", "hold times of every lease, not of a sample"), ("watched", "an observer of checkouts and check-ins"),
                        ("traced", "`track_stack_trace`")):
        found = quickest(f"acquire/acquire<{case}>")
        if found and everything:
            rows.append((f"on top: {label}", number(found), f"{found - everything:+.1f}", "–", "–"))
    head = f"default {number(everything)} ns, none {number(nothing)} ns"
    return table([head, "all but this", "it costs", "this alone", "it costs"], rows)


def handoff():
    rows = []
    for kind, label in (("defaults", "default policies"), ("one_thread", "`null_mutex`"), ("any_executor", "`any_io_executor`")):
        for tasks in (100, 1000, 10000):
            case = f"handoff/handoff<{kind}>/{tasks}"
            if not ours(case):
                continue
            floor = ours(f"handoff/floor_post<{'asio::any_io_executor' if kind == 'any_executor' else 'io_executor'}>/{tasks}")
            rows.append((f"{label}, {tasks:,} coroutines", number(ours(case)), spread(OURS, case, "ns"), number(floor), ratio(ours(case), floor),
                         *(number(ours(case, f"wait_{q}_us")) for q in ("p50", "p99", "p999")), number(ours(case, "overtakings"))))
    return table(["10 connections", "ns a cycle", "range", "bare post", "ratio", "wait p50 µs", "p99", "p999", "overtakings"], rows)


def crowd():
    rows = []
    for what in ("timing_out", "cancelled"):
        for callers in (1000, 10000, 100000):
            case = f"crowd/{what}/{callers}"
            if ours(case):
                rows.append((f"{callers:,} callers, {'all time out' if what == 'timing_out' else 'all cancelled'}", number(ours(case)),
                             number(ours(case) * callers / 1e6), number(ours(case, "bytes_a_waiter"))))
    return table(["", "ns each", "ms in all", "bytes a waiter"], rows)


def threads():
    rows = []
    for case, label in (("one_pool", "`try_acquire`, one pool of 8"), ("one_pool_a_thread", "`try_acquire`, one pool of 8 a thread, `null_mutex`"),
                        ("coroutines_on_one_pool", "`co_await acquire()`, one pool of 8"),
                        ("coroutines_on_one_pool_each", "`co_await acquire()`, one pool of 8 a thread, `null_mutex`"),
                        ("crowds_on_one_pool", "500 coroutines a thread, one pool of 10"),
                        ("crowds_on_one_pool_each", "500 coroutines a thread, one pool of 5 a thread, `null_mutex`")):
        one, two = (f"threads/{case}/real_time/threads:{n}" for n in (1, 2))
        if ours(two):
            rows.append((label, number(ours(one)), number(ours(two)), ratio(ours(two), ours(one)), number(ours(one, "mpairs")),
                         number(ours(two, "mpairs")), spread(OURS, two, "mpairs")))
    return table(["", "one thread: CPU ns a pair", "two threads", "ratio", "one thread: M pairs/s", "two threads", "range"], rows)


def size():
    rows = []
    for label, case, metric in (("acquire + release, ns", "acquire_of", "ns"), ("the same, half leased, ns", "acquire_while_half_is_leased", "ns"),
                                ("`stats()`, ns", "stats_of", "ns"), ("background work a connection and hour, µs", "sweep_of", "us_per_connection_hour"),
                                ("`recycle()` and connect anew, ns a connection", "recycle_of", "ns"),
                                ("heap bytes a slot, without the connection", "acquire_of", "bytes_a_slot")):
        cells = [ours(f"size/{case}/{n}", metric) for n in (10, 1000, 10000)]
        if any(cells):
            rows.append((label, *(number(c) for c in cells), ratio(cells[2], cells[0]) if cells[0] and cells[2] else "–"))
    return table(["connections in the pool", "10", "1,000", "10,000", "10,000 : 10"], rows)


def peers():
    two = "threads/coroutines_on_one_pool/real_time/threads:2"
    mine = {"pair": ours("acquire/acquire<any_executor>"), "handoff": ours("handoff/handoff<any_executor>/1000"), "threads": ours(two)}
    if not mine["pair"]:
        return ""
    rows = [("**tidepool**, `any_io_executor`", number(mine["pair"]), "1", number(mine["handoff"]), "1",
             number(ours("handoff/handoff<any_executor>/1000", "overtakings")), number(mine["threads"]), "1", number(ours(two, "mpairs")))]
    for peer in PEERS:
        pair, hand, both = get(peer, "pair", "ns"), get(peer, "handoff/1000", "ns"), get(peer, "threads/2", "ns")
        if pair:
            rows.append((NAMES[peer], number(pair), ratio(pair, mine["pair"]), number(hand), ratio(hand, mine["handoff"]),
                         number(get(peer, "handoff/1000", "overtaking")), number(both), ratio(both, mine["threads"]),
                         number(get(peer, "threads/2", "mpairs"))))
    return table(["", "acquire + release", "of ours", "1,000 tasks on 10, a cycle", "of ours", "largest overtaking", "two threads on a pool of 8", "of ours",
                  "M pairs/s by the clock"], rows)


def server():
    rows = []
    for query in ("select1", "read"):
        for via in ("unix", "tcp"):
            for concurrency in (8, 64, 1000):
                tail = f"{query}/{via}/{concurrency}"
                pool, raw, own = (f"{way}/{tail}" for way in ("pool", "raw", "own"))
                if not ours(pool, "qps"):
                    continue
                rows.append(("`SELECT 1`" if query == "select1" else "point read", via, f"{concurrency:,}", number(ours(pool, "qps")),
                             ratio(ours(pool, "qps"), ours(raw, "qps")), *(number(ours(pool, f"{q}_us")) for q in ("p50", "p99", "p999")),
                             number(ours(pool, "cpu_us")), number(ours(own, "cpu_us")), number(ours(raw, "cpu_us")),
                             number(get("pgbench", tail, "cpu_us"))))
    return table(["", "via", "tasks", "queries/s", "of raw", "p50 µs", "p99", "p999", "CPU µs/query: pool", "no pool", "raw libpq", "pgbench"], rows)


CALLERS = (8, 64, 1000)


def shares(way, via, callers, metric="qps", who="multiplexer"):
    return get(who, f"{way}/read/{via}/{callers}", metric)


def sharing():
    rows = []
    for via in ("unix", "tcp"):
        for callers in CALLERS:
            def qps(way):
                return shares(way, via, callers)

            def cpu(way):
                return number(shares(way, via, callers, "cpu_us"))
            if qps("shared"):
                rows.append((via, f"{callers:,}", number(qps("pool")), cpu("pool"), number(qps("shared")), ratio(qps("shared"), qps("pool")),
                             ratio(qps("shared"), qps("batch")), cpu("shared"), number(qps("shared_exec")), ratio(qps("shared_exec"), qps("pool")),
                             ratio(qps("shared_exec"), qps("each")), cpu("shared_exec")))
    return table(["via", "callers", "pool: a second", "CPU µs", "`read`: a second", "of the pool", "of libpq, a Sync a batch", "CPU µs", "`exec`: a second",
                  "of the pool", "of libpq, a Sync each", "CPU µs"], rows)


def sharing_waits():
    rows = []
    for via in ("unix", "tcp"):
        for callers in CALLERS:
            p99 = {way: shares(way, via, callers, "p99_us") for way in ("pool", "shared", "shared_slow", "shared_exec")}
            if p99["shared"]:
                rows.append((via, f"{callers:,}", *(number(p99[way]) for way in ("pool", "shared")), ratio(p99["shared"], p99["pool"]), number(p99["shared_slow"]),
                             ratio(p99["shared_slow"], p99["shared"]), number(p99["shared_exec"]), ratio(p99["shared_exec"], p99["pool"])))
    return table(["via", "callers", "pool: p99 µs", "`read`", "of the pool's", "`read` beside a slow one", "of without it", "`exec`", "of the pool's"], rows)


def sharing_newer():
    rows = []
    for callers in CALLERS:
        def qps(way):
            return shares(way, "unix", callers, who="libpq-17")
        if qps("shared_exec"):
            rows.append((f"{callers:,}", number(qps("pool")), number(qps("shared_exec")), ratio(qps("shared_exec"), qps("pool")), ratio(qps("shared_exec"), qps("lazy")),
                         ratio(qps("shared_exec"), qps("each")), number(shares("shared_exec", "unix", callers, "cpu_us", "libpq-17")),
                         number(shares("lazy", "unix", callers, "cpu_us", "libpq-17"))))
    return table(["callers", "pool: a second", "`exec`: a second", "of the pool", "of libpq, one flush a batch", "of libpq, a flush each", "CPU µs",
                  "libpq, one flush a batch: CPU µs"], rows)


def sharing_peers():
    rows = []
    for who, name in (("multiplexer", f"**{OURS}**, `read`"), ("exec", f"**{OURS}**, `exec`"), ("tokio-postgres", "tokio-postgres (Rust)"), ("node-postgres", "postgres.js"),
                      ("node-pg", "node-postgres, `pipeline`")):
        for via in ("unix", "tcp"):
            cells = []
            for callers in CALLERS:
                at = (("shared_exec", "multiplexer") if who == "exec" else ("shared", who))
                cells += [number(shares(at[0], via, callers, metric, at[1])) for metric in ("cpu_us", "qps", "p99_us")]
            if any(cell != "–" for cell in cells):
                rows.append((name, via, *cells))
    return table(["8 connections", "via", "8 callers: CPU µs", "a second", "p99 µs", "64 callers: CPU µs", "a second", "p99 µs", "1,000 callers: CPU µs",
                  "a second", "p99 µs"], rows)


def sharing_threads():
    rows = []
    for threads, label in ((1, "one thread"), (2, "two threads")):
        qps, cpu = (shares(f"threads{threads}", "threads", 1000, metric) for metric in ("qps", "cpu_us"))
        if qps:
            rows.append((label, number(qps), number(cpu), ratio(cpu, shares("threads1", "threads", 1000, "cpu_us"))))
    return table(["`multiplexers`, `read`, 1,000 callers", "a second", "CPU µs", "of one thread's"], rows)


def sharing_pooler():
    rows = []
    for label, near, far in (("no", "plain", "bouncer"), ("yes", "unix", "tracking")):
        for callers in CALLERS:
            cells = []
            for way in ("pool", "shared", "shared_exec"):
                direct, through = (shares(way, via, callers) for via in (near, far))
                cells += [number(direct), number(through)] if way == "pool" else [number(direct), number(through), ratio(through, shares("pool", far, callers))]
            if cells[1] != "–":
                rows.append((label, f"{callers:,}", *cells))
    return table(["prepared", "callers", "pool: a second, direct", "through PgBouncer", "`read`, direct", "through PgBouncer", "of the pool there", "`exec`, direct",
                  "through PgBouncer", "of the pool there"], rows)


def sharing_goals():
    def of(callers, via, way, other, metric="qps", who="multiplexer"):
        mine, theirs = (shares(each, via, callers, metric, who) for each in (way, other))
        return mine / theirs if mine and theirs else None
    both = ("unix", "tcp")
    rows = []

    def row(what, goal, found, good):
        found = [value for value in found if value]
        if found:
            said = " / ".join(f"{value:.2f}" for value in found)
            met = sum(good(value) for value in found)
            rows.append((what, goal, said, "met" if met == len(found) else "missed" if met == 0 else f"{met} of {len(found)} met"))
    row("`read` to the pool, 1,000 callers, unix / tcp", "≥ 4", [of(1000, via, "shared", "pool") for via in both], lambda v: v >= 4)
    row("`read` to libpq with a Sync a batch", "≥ 0.75", [of(1000, via, "shared", "batch") for via in both], lambda v: v >= 0.75)
    row("`exec` to the pool", "≥ 1.8", [of(1000, via, "shared_exec", "pool") for via in both], lambda v: v >= 1.8)
    row("`exec` to libpq with a Sync each", "≥ 0.9", [of(1000, via, "shared_exec", "each") for via in both], lambda v: v >= 0.9)
    row("`exec` with libpq 17 to the pool, unix", "≥ 2", [of(1000, "unix", "shared_exec", "pool", who="libpq-17")], lambda v: v >= 2)
    row("the same to libpq with one flush a batch", "≥ 0.9", [of(1000, "unix", "shared_exec", "lazy", who="libpq-17")], lambda v: v >= 0.9)
    row("client's processor a statement, `read`, µs", "≤ 2", [shares("shared", via, 1000, "cpu_us") for via in both], lambda v: v <= 2)
    row("p99 at 64 callers to the pool's: `read`", "< 1", [of(64, via, "shared", "pool", "p99_us") for via in both], lambda v: v < 1)
    row("the same, `exec`", "< 1", [of(64, via, "shared_exec", "pool", "p99_us") for via in both], lambda v: v < 1)
    row("p99 beside a slow statement to that without, 64 and 1,000 callers", "≤ 2",
        [of(callers, via, "shared_slow", "shared", "p99_us") for callers in (64, 1000) for via in both], lambda v: v <= 2)
    row("8 callers to the pool: `read`", "≥ 0.95", [of(8, via, "shared", "pool") for via in both], lambda v: v >= 0.95)
    row("the same, `exec`", "≥ 0.95", [of(8, via, "shared_exec", "pool") for via in both], lambda v: v >= 0.95)
    for who, name in (("tokio-postgres", "tokio-postgres"), ("node-postgres", "postgres.js"), ("node-pg", "node-postgres")):
        found = []
        for via in both:
            theirs = shares("shared", via, 1000, who=who)
            found.append(shares("shared", via, 1000) / theirs if theirs else None)
        row(f"`read` to {name}, 1,000 callers", "> 1", found, lambda v: v > 1)
    if not rows:
        return ""
    load = values.get(("machine", "multiplexer", "load"), [])
    about = f"\n\n{today()}: medians of {len(load)} rounds; the machine's load before each was {min(load):.1f} to {max(load):.1f} on {os.cpu_count()} processors." if load else ""
    return table(["", "goal", "here", ""], rows) + about


def server_peers():
    rows = []
    for who in [OURS] + PEERS:
        for via in ("unix", "tcp"):
            cells = []
            for concurrency in (8, 64, 1000):
                case = f"{'pool/' if who == OURS else ''}select1/{via}/{concurrency}"
                cells += [number(get(who, case, "cpu_us")), number(get(who, case, "qps")), number(get(who, case, "p99_us"))]
            if cells[0] != "–":
                rows.append((f"**{OURS}**" if who == OURS else NAMES[who], via, *cells))
    return table(["8 connections", "via", "8 tasks: CPU µs", "q/s", "p99 µs", "64 tasks: CPU µs", "q/s", "p99 µs", "1,000 tasks: CPU µs", "q/s", "p99 µs"], rows)


def ahead():
    """Where a peer is cheaper than ours, in so many words."""
    comparisons = [("pair", "ns", "acquire + release", ours("acquire/acquire<any_executor>")),
                   ("handoff/1000", "ns", "1,000 tasks on 10 connections", ours("handoff/handoff<any_executor>/1000")),
                   ("threads/2", "ns", "two threads", ours("threads/coroutines_on_one_pool/real_time/threads:2"))]
    for via in ("unix", "tcp"):
        for tasks in (8, 64, 1000):
            comparisons.append((f"select1/{via}/{tasks}", "cpu_us", f"CPU of a query over {via}, {tasks:,} tasks", ours(f"pool/select1/{via}/{tasks}", "cpu_us")))
            comparisons.append((f"select1/{via}/{tasks}", "p99_us", f"p99 of a query over {via}, {tasks:,} tasks", ours(f"pool/select1/{via}/{tasks}", "p99_us")))
    found = []
    for peer in PEERS:
        for case, metric, label, mine in comparisons:
            theirs = get(peer, case, metric)
            if theirs and mine and theirs < mine:
                found.append(f"* {NAMES[peer]}: {label}, {number(theirs)} against {number(mine)}")
    if not any(mine for _, _, _, mine in comparisons):
        return ""
    return "Peers that are ahead of us in this run:\n\n" + ("\n".join(found) if found else "* none")


def bouncer():
    rows = []
    for concurrency in (8, 64, 1000):
        direct, through = f"pool/select1/plain/{concurrency}", f"pool/select1/bouncer/{concurrency}"
        if ours(through, "qps"):
            rows.append((f"{concurrency:,}", number(ours(direct, "qps")), number(ours(through, "qps")), ratio(ours(through, "qps"), ours(direct, "qps")),
                         number(ours(direct, "p99_us")), number(ours(through, "p99_us"))))
    out = table(["tasks", "queries/s, direct", "through PgBouncer", "ratio", "p99 µs, direct", "through PgBouncer"], rows) if rows else ""
    private = get("postgres", "backend", "private_kb")
    if private:
        out += f"\n\nA backend that has run one query holds {number(private / 1024)} MB of its own (this server, `shared_buffers` aside)."
    return out


def headers():
    modes = (("", "", (("asio_only", "Asio's headers, no code", None), ("asio_handler", "handler with Asio alone", None))),
             ("", "header-only", (("pool_only", "`tidepool/pool.hpp`, no code", None), ("pool_handler", "handler with the pool", 2.2),
                                  ("postgres_handler", "handler with PostgreSQL", 3.5), ("pool_made", "the file that makes the pool", None))),
             ("separate/", "separate", (("pool_only", "`tidepool/pool.hpp`, no code", None), ("pool_handler", "handler with the pool", 1.3),
                                        ("postgres_handler", "handler with PostgreSQL", 1.7),
                                        ("pool_made", "the file that makes the pool", None), ("pool_src", "`tidepool/src.hpp`, once", None),
                                        ("postgres_src", "`tidepool/postgres/src.hpp`, once", None))))
    rows = []
    for compiler in ("g++", "clang++"):
        base, base_bytes = (get("headers", f"{compiler}/asio_handler", m) for m in ("seconds", "bytes"))
        for folder, mode, cases in modes:
            for case, label, budget in cases:
                time, bytes_ = (get("headers", f"{compiler}/{folder}{case}", m) for m in ("seconds", "bytes"))
                if time and base:
                    rows.append((compiler, mode, label, f"{time:.2f}", ratio(time, base), f"{budget}" if budget else "",
                                 number(bytes_ / 1024), ratio(bytes_, base_bytes)))
    return table(["`-O2`", "library", "file", "s", "to a handler with Asio alone", "at most", "object kB", "to Asio alone"], rows)


def headline():
    def three(metric):
        return " / ".join(number((ours(f"checkout/{load}", metric) or 0) / 1000) for load in ("0.50", "0.80", "0.90")) + " ms"

    if not ours("checkout/0.50", "p95_us"):
        return ""
    rows = [("checkout, p95, at 50 / 80 / 90 % load", "below 1 ms", three("p95_us")), ("checkout, p99", "below 5 ms", three("p99_us")),
            ("memory of a connection, on the heap", "below 500 kB",
             f"{number(ours('memory/plain', 'kb_a_connection'))} kB, with TLS {number(ours('memory/tls', 'kb_a_connection'))} kB"),
            ("leaks under load", "0", f"{number(ours('leaks', 'leases_lost'))} leases, {number(ours('leaks', 'sessions_too_many'))} sessions, "
             f"{number(ours('leaks', 'heap_kb_grown'))} kB of heap in {number(ours('leaks', 'checkouts'), 0)} checkouts")]
    if ours("many", "connections"):
        rows.append(("connections in one pool", "10,000", f"{number(ours('many', 'connections'), 0)}, all leased and asked at once in "
                     f"{number(ours('many', 'all_leased_and_asked_ms') / 1000)} s, {number(ours('many', 'failed'))} failed, "
                     f"{number(ours('many', 'kb_a_connection'))} kB each"))
    return table(["", "asked for", "here"], rows)


def soak():
    def mine(metric):
        return ours("soak", metric)

    if not mine("measured"):
        return ""
    rows = [("connections of one pool, through PgBouncer", "10,000", f"{number(mine('connections'), 0)}, opened in {number(mine('opened_ms') / 1000)} s; "
             f"all leased at once, each with a statement, in {number(mine('all_leased_and_asked_ms') / 1000)} s"),
            ("memory of a connection", "below 500 kB", f"{number(mine('heap_kb_a_connection'))} kB on the heap, {number(mine('resident_kb_a_connection'))} kB resident"),
            ("checkout, p95", "below 1 ms", f"{number(mine('p95_us') / 1000)} ms"), ("checkout, p99", "below 5 ms", f"{number(mine('p99_us') / 1000)} ms"),
            ("checkout, p50 / p99.9 / longest", "", " / ".join(number(mine(m) / 1000) for m in ("p50_us", "p999_us", "longest_us")) + " ms"),
            ("leases lost", "0", number(mine("leases_lost"), 0)), ("statements lost", "0", f"{number(mine('statements_lost'), 0)} of {number(mine('statements'), 0)}"),
            ("acquires refused, connects failed", "0", f"{number(mine('acquires_refused'), 0)}, {number(mine('connects_failed'), 0)}"),
            ("sessions left at PgBouncer after `close()`", "0", number(mine("clients_of_the_pooler_after_close"), 0)),
            ("connections replaced, of these for their age", "", f"{number(mine('connections_replaced'), 0)}, {number(mine('replaced_for_their_age'), 0)}"),
            ("heap grown", "", f"{number(mine('heap_kb_grown'))} kB")]
    bounds = (10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 50000)
    head = ["checkout within"] + [f"{us} µs" if us < 1000 else f"{us // 1000} ms" for us in bounds]
    shares = ["share"] + [f"{mine(f'percent_within_{us}_us'):.3f} %" for us in bounds]
    return (table(["", "asked for", "here"], rows) + "\n\n" + table(head, [shares]) +
            f"\n\n{today()}: {number(mine('measured'), 0)} checkouts in {number(mine('seconds'), 0)} s, {number(mine('leased_at_the_end'), 0)} connections leased at the end of "
            f"them; {number(mine('threw'), 0)} callers threw, {number(mine('discarded'), 0)} discarded, {number(mine('cancelled'), 0)} were cancelled in mid-statement. "
            f"The machine's load was {mine('load'):.1f} on {os.cpu_count()} processors.")


def boost_mysql():
    def mine(case, metric):
        return get("boost_mysql", case, metric)

    rows = []
    for case, label in (("pair/1", "acquire + release, 1 caller"), ("select1/1", "`SELECT 1`, 1 caller"), ("select1/8", "`SELECT 1`, 8 callers"),
                        ("select1/64", "`SELECT 1`, 64 callers")):
        for end, how in (("kept", "no reset"), ("reset", "reset at return")):
            us, theirs = (mine(f"{pool}/{end}/{case}", "cpu_us") for pool in ("tidepool", "boost"))
            if us:
                rows.append((f"{label}; {how}", number(us), spread("boost_mysql", f"tidepool/{end}/{case}", "cpu_us"), number(theirs),
                             spread("boost_mysql", f"boost/{end}/{case}", "cpu_us"), ratio(us, theirs),
                             *(number(mine(f"{pool}/{end}/{case}", "per_second")) for pool in ("tidepool", "boost"))))
    if not rows:
        return ""
    load = values[("boost_mysql", "machine", "load")]
    with open(os.path.join(sys.argv[1], "boost_mysql.about")) as file:
        boost, mariadb = file.read().split()
    head = ["8 connections", "tidepool: CPU µs", "range", "Boost.MySQL: CPU µs", "range", "ratio", "tidepool: a second", "Boost.MySQL: a second"]
    return (table(head, rows) + f"\n\n{today()}: Boost {boost}, MariaDB {mariadb}, medians of {len(load)} rounds; the machine's load was "
            f"{min(load):.1f} to {max(load):.1f} on {os.cpu_count()} processors.")


def split():
    rows = []
    for load in ("0.50", "0.70", "0.80", "0.90", "0.95"):
        cells = []
        for into, each in ((1, 16), (2, 8), (4, 4), (16, 1)):
            case = f"split/{into}x{each}/{load}"
            if get("fleet", case, "mean") is None:
                return table(["not measured"], [])
            cells.append(f"{get('fleet', case, 'mean'):.2f} / {get('fleet', case, 'p99'):.1f}")
        rows.append((f"{float(load):.0%}", *cells))
    return table(["load", "1 pool of 16", "2 of 8", "4 of 4", "16 of 1"], rows)


def poisson_quantile(mean, miss):
    """Smallest n with P(more than n) <= miss."""
    n, log_term = 0, -mean
    total = math.exp(log_term)
    while 1 - total > miss and n < mean + 20 * math.sqrt(mean) + 40:
        n += 1
        log_term += math.log(mean / n)
        total += math.exp(log_term)
    return n


def fleet():
    rows = []
    for each in (0.5, 2, 8):
        size = max(1, poisson_quantile(each, 1e-3))
        cells = []
        for instances in (4, 20, 100, 500):
            cells.append(f"{instances * size:,} / {poisson_quantile(each * instances, 1e-3):,}")
        rows.append((f"{each:g}", size, *cells))
    return table(["busy connections an instance, mean", "its pool", "4 instances", "20", "100", "500"], rows)


def plots(folder):
    def colour(who):
        return MINE if who == OURS else THEIRS
    made = {}
    pairs = [("floor: coroutine + mutex", ours("acquire/floor_child"), FLOOR), ("tidepool try_acquire", ours("acquire/try_acquire<defaults>"), MINE),
             ("tidepool co_await acquire", ours("acquire/acquire<any_executor>"), MINE)]
    hand = [("floor: a bare post", ours("handoff/floor_post<asio::any_io_executor>/1000"), FLOOR),
            ("tidepool, io_context executor", ours("handoff/handoff<defaults>/1000"), MINE),
            ("tidepool, any_io_executor", ours("handoff/handoff<any_executor>/1000"), MINE)]
    two = [("tidepool try_acquire", ours("threads/one_pool/real_time/threads:2"), MINE),
           ("tidepool co_await acquire", ours("threads/coroutines_on_one_pool/real_time/threads:2"), MINE)]
    query = [("floor: raw libpq, epoll", ours("raw/select1/unix/64", "cpu_us"), FLOOR), ("pgbench", get("pgbench", "select1/unix/8", "cpu_us"), FLOOR),
             ("tidepool", ours("pool/select1/unix/64", "cpu_us"), MINE), ("tidepool, TCP", ours("pool/select1/tcp/64", "cpu_us"), MINE)]
    for peer in PEERS:
        pairs.append((NAMES[peer], get(peer, "pair", "ns"), colour(peer)))
        hand.append((NAMES[peer], get(peer, "handoff/1000", "ns"), colour(peer)))
        two.append((NAMES[peer], get(peer, "threads/2", "ns"), colour(peer)))
        for via in ("unix", "tcp"):
            query.append((NAMES[peer] + (", TCP" if via == "tcp" else ""), get(peer, f"select1/{via}/64", "cpu_us"), colour(peer)))
    made["pairs"] = bars("Acquire + release, one task", "CPU nanoseconds, logarithmic; less is better", pairs)
    made["handoff"] = bars("1,000 tasks on 10 connections", "CPU nanoseconds a cycle (acquire, yield, release), logarithmic; less is better", hand)
    made["threads"] = bars("Two threads on one pool of 8", "CPU nanoseconds a pair; less is better", two, False)
    made["query"] = bars("SELECT 1, prepared, 64 tasks on 8 connections", "client CPU, microseconds a query, logarithmic; less is better", query)
    made["growth"] = lines("How cost grows", "nanoseconds of processor time", "connections in the pool, or callers that wait", "ns",
                           [("acquire", MINE, [(n, ours(f"size/acquire_of/{n}")) for n in (10, 1000, 10000)]),
                            ("stats()", "#7a4d9e", [(n, ours(f"size/stats_of/{n}")) for n in (10, 1000, 10000)]),
                            ("hand-off", "#b5432e", [(n, ours(f"handoff/handoff<defaults>/{n}")) for n in (100, 1000, 10000)]),
                            ("a caller timing out", "#4c8a3a", [(n, ours(f"crowd/timing_out/{n}")) for n in (1000, 10000, 100000)])])
    callers = (8, 32, 64, 256, 1000)
    made["shared"] = lines("Point reads a second", "8 connections, Unix socket, one processor for the client and one for the server", "callers", "a second",
                           [(label, shade, [(n, shares(way, "unix", n)) for n in callers])
                            for label, way, shade in (("libpq, a Sync a batch", "batch", "#4c8a3a"), ("multiplexer, read()", "shared", "#b5432e"),
                                                      ("libpq, a Sync each", "each", FLOOR), ("multiplexer, exec()", "shared_exec", "#7a4d9e"), ("pool", "pool", MINE))])
    loads = [float(load) for load in ("0.30", "0.50", "0.70", "0.80", "0.90")]
    made["checkout"] = lines("Checkout under load, with PostgreSQL", "20 connections, a statement of 1 ms, random arrivals; milliseconds from when a caller was due",
                             "load", "ms", [(label, shade, [(load, (ours(f"checkout/{load:.2f}", f"{label}_us") or 0) / 1000) for load in loads])
                                            for label, shade in (("p999", "#b5432e"), ("p99", "#7a4d9e"), ("p95", MINE), ("p50", "#4c8a3a"))], log_x=False)
    if get("fleet", "split/1x16/0.50", "mean") is not None:
        made["split"] = lines("Sixteen connections in one pool, or in several", "p99 of the wait, in mean hold times; zero is off the scale",
                              "load", "p99 wait", [(f"{into} × {16 // into}", shade, [(float(load), get("fleet", f"split/{into}x{16 // into}/{load}", "p99"))
                                                                                     for load in ("0.50", "0.70", "0.80", "0.90", "0.95")])
                                                   for into, shade in ((1, MINE), (2, "#4c8a3a"), (4, "#7a4d9e"), (16, "#b5432e"))], log_x=False)
    for name, text in made.items():
        if text:
            with open(os.path.join(folder, name + ".svg"), "w") as file:
                file.write(text)


def main():
    results, readme, folder = sys.argv[1:]
    load(results)
    sections = {"machine": machine, "uncontended": uncontended, "policies": policies, "handoff": handoff, "crowd": crowd, "threads": threads,
                "size": size, "peers": peers, "server": server, "server peers": server_peers, "sharing": sharing,
                "sharing waits": sharing_waits, "sharing newer": sharing_newer, "sharing peers": sharing_peers, "sharing threads": sharing_threads, "sharing pooler": sharing_pooler,
                "sharing goals": sharing_goals, "ahead": ahead,
                "bouncer": bouncer, "headers": headers, "split": split, "fleet": fleet, "headline": headline, "soak": soak, "boost mysql": boost_mysql}
    os.makedirs(folder, exist_ok=True)
    with open(readme) as file:
        text = file.read()

    def fill(found):
        made = sections[found.group(1)]()
        empty = made.count("\n") < 2 and "|" in made or not made
        return found.group(0) if empty else f"<!-- {found.group(1)} -->\n{made}\n<!-- end -->"
    text = re.sub(r"<!-- ([a-z ]+) -->\n.*?<!-- end -->", fill, text, flags=re.S)
    with open(os.path.join(folder, "README.md"), "w") as file:
        file.write(text)
    plots(folder)


main()
