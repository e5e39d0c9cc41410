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
#include "postgres/fake_postgres.hpp"

#endif
