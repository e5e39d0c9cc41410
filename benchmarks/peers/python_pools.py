# SPDX-License-Identifier: BSL-1.0
# tidepool's benchmarks - asyncpg and psycopg_pool: the same work as ours.
#
#   python_pools.py asyncpg|psycopg memory    acquire and release by one task; 1,000 tasks on 10 connections; both need real connections, on
#                                             which nothing is done (asyncpg: without its reset query, which is a round trip each)
#   python_pools.py asyncpg|psycopg threads   nothing: an event loop has one thread
#   python_pools.py asyncpg|psycopg server    prepared SELECT 1 over a Unix socket; $PGHOST, $PGPORT, $PGUSER, $PGDATABASE
#
# Prints "case <TAB> metric <TAB> value"; ns are of processor time. $SECONDS_A_CASE: how long each case is measured.
import asyncio
import os
import resource
import sys
import time

seconds = float(os.environ.get("SECONDS_A_CASE", "1"))
clock = time.perf_counter


def show(what, metric, value):
    print(f"{what}\t{metric}\t{value:.3f}", flush=True)


class Asyncpg:
    async def open(self, size, reset):
        import asyncpg

        class WithoutReset(asyncpg.Connection):
            def _get_reset_query(self):
                return ""

        kind = asyncpg.Connection if reset else WithoutReset
        self.pool = await asyncpg.create_pool(
            host=os.environ["PGHOST"], min_size=size, max_size=size, connection_class=kind)

    def lease(self):
        return self.pool.acquire()

    async def ask(self, connection):
        return await connection.fetchval("select 1")

    async def close(self):
        await self.pool.close()


class Psycopg:
    async def open(self, size, reset):
        import psycopg_pool

        self.pool = psycopg_pool.AsyncConnectionPool("", min_size=size, max_size=size, open=False, timeout=300, max_waiting=0,
                                                     kwargs={"autocommit": True, "prepare_threshold": 0})
        await self.pool.open(wait=True)

    def lease(self):
        return self.pool.connection()

    async def ask(self, connection):
        cursor = await connection.execute("select 1")
        return (await cursor.fetchone())[0]

    async def close(self):
        await self.pool.close()


async def pair(kind):
    pool = kind()
    await pool.open(8, reset=False)

    async def go(span):
        done = 0
        end = clock() + span
        while clock() < end:
            for _ in range(100):
                async with pool.lease():
                    pass
            done += 100
        return done

    await go(seconds / 4)
    begun = cpu()
    done = await go(seconds)
    show("pair", "ns", (cpu() - begun) * 1e3 / done)
    await pool.close()


async def handoff(kind, tasks, cycles):
    pool = kind()
    await pool.open(10, reset=False)
    asked = served = worst = 0

    async def task():
        nonlocal asked, served, worst
        for _ in range(cycles // tasks):
            ticket = asked
            asked += 1
            async with pool.lease():
                worst = max(worst, served - ticket)
                served += 1
                await asyncio.sleep(0)

    begun = cpu()
    await asyncio.gather(*(task() for _ in range(tasks)))
    show(f"handoff/{tasks}", "ns", (cpu() - begun) * 1e3 / cycles)
    show(f"handoff/{tasks}", "overtaking", worst)
    await pool.close()


def cpu():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return (used.ru_utime + used.ru_stime) * 1e6


async def server(kind, tasks):
    pool = kind()
    await pool.open(8, reset=True)
    warm = clock() + seconds / 4
    end = warm + seconds
    waits = []
    used = None

    async def task():
        nonlocal used
        while True:
            begun = clock()
            async with pool.lease() as connection:
                if await pool.ask(connection) != 1:
                    raise RuntimeError("wrong answer")
            now = clock()
            if now >= end:
                return
            if now >= warm:
                if used is None:
                    used = cpu()
                waits.append((now - begun) * 1e6)

    await asyncio.gather(*(task() for _ in range(tasks)))
    used = cpu() - used
    waits.sort()
    what = f"select1/unix/{tasks}"
    show(what, "qps", len(waits) / seconds)
    show(what, "cpu_us", used / len(waits))
    show(what, "p50_us", waits[len(waits) // 2])
    show(what, "p99_us", waits[len(waits) * 99 // 100])
    await pool.close()


async def main():
    kind = {"asyncpg": Asyncpg, "psycopg": Psycopg}[sys.argv[1]]
    if sys.argv[2] == "memory":
        await pair(kind)
        await handoff(kind, 1000, 10000 if seconds < 1 else 50000)
    elif sys.argv[2] == "server":
        for tasks in (8, 64, 1000):
            await server(kind, tasks)


asyncio.run(main())
