# SPDX-License-Identifier: BSL-1.0
# tidepool - story.py FOLDER PICTURE: what run.sh has recorded, in words and as a picture.
import sys
from pathlib import Path

folder, picture = Path(sys.argv[1]), Path(sys.argv[2])
BIN = 0.1  # seconds, of the load generator's timeline


def rows(name):
    return [line.split(maxsplit=2) for line in (folder / name).read_text().splitlines()]


# Per instance: time, reads, transfers, failed, of each tenth of a second.
timelines = [[[int(x) for x in line.split()] for line in (folder / f"timeline{i}").read_text().splitlines()] for i in (1, 2)]
begin = min(t[0][0] for t in timelines)
end = max(t[-1][0] for t in timelines)
length = (end - begin) / 1000


def at(ms):
    return (int(ms) - begin) / 1000


events = [(at(t), text) for t, _, text in rows("events")]
leaders = [(max(at(t), 0), int(who)) for t, _, who in rows("leaders")]


def part(timeline, start, stop):
    return [row for row in timeline if start < at(row[0]) <= stop]


def longest_gap(some, column):
    gap = longest = 0
    for row in some:
        gap = 0 if row[column] else gap + 1
        longest = max(longest, gap)
    return longest * BIN


# --- in words -----------------------------------------------------------------------------------------------------------------
def span(seconds):
    return f"{seconds:.1f} s"


for i, (start, text) in enumerate(events):
    stop = events[i + 1][0] if i + 1 < len(events) else length
    print(f"{start:6.1f} s  {text}")
    changes = [(t, who) for t, who in leaders if start <= t < stop]
    away = [t for t, who in changes if who == 0]
    for t, who in changes:
        if who:
            without = f", after {span(t - away[0])} without one" if away and away[0] < t else ""
            print(f"{t:6.1f} s  node {who} is the primary{without}")
    for n, timeline in enumerate(timelines, 1):
        some = part(timeline, start, stop)
        failed = sum(row[3] for row in some)
        print(f"          instance {n}: {sum(row[1] for row in some)} reads and {sum(row[2] for row in some)} transfers until "
              f"{stop:.1f} s, {failed} requests failed; longest without a transfer {span(longest_gap(some, 2))}, "
              f"without a read {span(longest_gap(some, 1))}")

# --- as a picture -------------------------------------------------------------------------------------------------------------
LEFT, WIDTH, TOP, HEIGHT, GAP = 70, 900, 92, 120, 34
STEP = 2  # bins a point
out = []


def x(seconds):
    return LEFT + WIDTH * min(max(seconds, 0), length) / length


def rates(timeline, column):
    points = []
    for i in range(0, len(timeline) - STEP + 1, STEP):
        some = timeline[i:i + STEP]
        points.append((at(some[-1][0]), sum(row[column] for row in some) / (STEP * BIN)))
    return points


top_rate = max(rate for t in timelines for column in (1, 2) for _, rate in rates(t, column)) * 1.05
unit = next(u for u in (100, 200, 500, 1000, 2000, 5000, 10000, 10**9) if top_rate / u <= 4)
bottom = TOP + 2 * HEIGHT + GAP
total = bottom + 96

out.append(f'''<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1000 {total}" font-family="sans-serif" font-size="12">
<style>
.paper {{ fill: #ffffff }} .title {{ fill: #222222; font-size: 16px }} .words {{ fill: #555555 }} .axis {{ stroke: #e4e4e4 }}
.read {{ stroke: #2ca02c; fill: none; stroke-width: 1.5 }} .transfer {{ stroke: #1f77b4; fill: none; stroke-width: 1.5 }}
.failed {{ fill: #d62728 }} .event {{ stroke: #777777; stroke-dasharray: 4 3 }}
.n0 {{ fill: #e4e4e4 }} .n2 {{ fill: #c6dbef }} .n3 {{ fill: #fdd0a2 }} .n4 {{ fill: #dadaeb }} .node {{ fill: #222222 }}
@media (prefers-color-scheme: dark) {{
.paper {{ fill: #0d1117 }} .title {{ fill: #e6edf3 }} .words {{ fill: #9da7b3 }} .axis {{ stroke: #2b323b }}
.read {{ stroke: #56d364 }} .transfer {{ stroke: #58a6ff }} .failed {{ fill: #ff7b72 }} .event {{ stroke: #8b949e }}
.n0 {{ fill: #30363d }} .n2 {{ fill: #1f4b7a }} .n3 {{ fill: #7a4a15 }} .n4 {{ fill: #4b3f77 }} .node {{ fill: #e6edf3 }}
}}
</style>
<rect class="paper" width="100%" height="100%"/>
<text class="title" x="{LEFT}" y="24">Two instances of a service on three PostgreSQL servers under Patroni</text>''')
confirmed = sum(row[2] for t in timelines for row in t)
reads = sum(row[1] for t in timelines for row in t)
failed = sum(row[3] for t in timelines for row in t)
out.append(f'<text class="words" x="{LEFT}" y="44">{reads:,} reads of replicas, {confirmed:,} transfers on the primary, '
           f'{failed} requests failed and were asked again; a second, in steps of {STEP * BIN:.1f} s</text>')
for n, timeline in enumerate(timelines):
    base = TOP + HEIGHT + n * (HEIGHT + GAP)

    def y(rate):
        return base - HEIGHT * rate / top_rate

    for i in range(int(top_rate / unit) + 1):
        out.append(f'<line class="axis" x1="{LEFT}" y1="{y(i * unit):.1f}" x2="{LEFT + WIDTH}" y2="{y(i * unit):.1f}"/>')
        out.append(f'<text class="words" x="{LEFT - 6}" y="{y(i * unit) + 4:.1f}" text-anchor="end">{i * unit}</text>')
    for name, column in (("read", 1), ("transfer", 2)):
        points = " ".join(f"{x(t):.1f},{y(rate):.1f}" for t, rate in rates(timeline, column))
        out.append(f'<polyline class="{name}" points="{points}"/>')
    for row in timeline:
        if row[3]:
            height = min(HEIGHT, 6 + 3 * row[3])
            out.append(f'<rect class="failed" x="{x(at(row[0])) - 1.5:.1f}" y="{base - height:.1f}" width="3" height="{height:.1f}"/>')
    out.append(f'<text class="words" x="{LEFT}" y="{base - HEIGHT - 6}">instance {n + 1}</text>')
for i, (t, text) in enumerate(events):
    out.append(f'<line class="event" x1="{x(t):.1f}" y1="{TOP - 22}" x2="{x(t):.1f}" y2="{bottom + 30}"/>')
    out.append(f'<text class="words" x="{x(t) + 4:.1f}" y="{TOP - 14}">{text}</text>')
for i, (t, who) in enumerate(leaders):
    stop = leaders[i + 1][0] if i + 1 < len(leaders) else length
    wide = x(stop) - x(t)
    out.append(f'<rect class="n{who}" x="{x(t):.1f}" y="{bottom + 10}" width="{wide:.1f}" height="20"/>')
    label = f"node {who} is the primary" if who else "no primary"
    if wide > 150:
        out.append(f'<text class="node" x="{x(t) + wide / 2:.1f}" y="{bottom + 24}" text-anchor="middle">{label}</text>')
    elif wide > 70:
        out.append(f'<text class="node" x="{x(t) + wide / 2:.1f}" y="{bottom + 24}" text-anchor="middle">{label.split(" is")[0]}</text>')
for s in range(0, int(length) + 1, 5):
    out.append(f'<text class="words" x="{x(s):.1f}" y="{bottom + 46}" text-anchor="middle">{s} s</text>')
legend = bottom + 74
out.append(f'<line class="read" x1="{LEFT}" y1="{legend - 4}" x2="{LEFT + 22}" y2="{legend - 4}"/>')
out.append(f'<text class="words" x="{LEFT + 28}" y="{legend}">reads, answered a second</text>')
out.append(f'<line class="transfer" x1="{LEFT + 200}" y1="{legend - 4}" x2="{LEFT + 222}" y2="{legend - 4}"/>')
out.append(f'<text class="words" x="{LEFT + 228}" y="{legend}">transfers, confirmed a second</text>')
out.append(f'<rect class="failed" x="{LEFT + 430}" y="{legend - 10}" width="3" height="12"/>')
out.append(f'<text class="words" x="{LEFT + 440}" y="{legend}">requests that failed</text>')
out.append("</svg>")
picture.write_text("\n".join(out) + "\n")
