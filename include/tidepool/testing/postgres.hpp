// SPDX-License-Identifier: BSL-1.0
// tidepool - tests of code that uses PostgreSQL, without a server: the real driver and the real pool on a server that answers by a script.
//     tidepool::testing::fake_postgres db;
//     db.expect("select name from users where id = $1").with(7).returns({"name"}, {{"ann"}});
//     tidepool::postgres::pool pool(io, db.connector());
// Needs libpq, as the driver does.
#ifndef TIDEPOOL_TESTING_POSTGRES_HPP
#define TIDEPOOL_TESTING_POSTGRES_HPP

#include "../postgres.hpp"
#include "../testing.hpp"
#include "../version.hpp"
#include "postgres/fake_postgres.hpp"
#include "postgres/sandbox.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::testing {

/// The type of pool that handlers have in production: with it a `fake_postgres` without a simulation, or a `sandbox`.
using pool = tidepool::postgres::pool;
/// The same in virtual time, for a `fake_postgres` in a simulation: handlers see this type where the program has `postgres::pool`.
using simulated_pool = basic_pool<tidepool::postgres::connection, simulated_traits<tidepool::postgres::connection>>;

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::testing

#endif
