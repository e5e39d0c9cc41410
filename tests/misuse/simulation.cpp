// SPDX-License-Identifier: BSL-1.0
// tidepool - run() in a simulation, and what the compiler says of it; see README.md.
#include <tidepool/pool.hpp>
#include <tidepool/testing.hpp>

using session = tidepool::testing::fake_connection;
using pool_type = tidepool::basic_pool<session, tidepool::testing::simulated_traits<session>>;
asio::awaitable<int> serve(pool_type&);

// misuse: run() in a simulation
// says: tidepool::run() waits in real time: in a simulation start the work by `asio::co_spawn(sim.get_executor(), ...)`
void start(tidepool::testing::simulation& sim, pool_type& pool) { tidepool::run(sim, pool, serve); }

// misuse: run() with options in a simulation
// says: tidepool::run() waits in real time
void start(tidepool::testing::simulation& sim, pool_type& pool) { tidepool::run(sim, pool, serve, {.threads = 2}); }
