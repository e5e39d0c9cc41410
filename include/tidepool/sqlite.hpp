// SPDX-License-Identifier: BSL-1.0
// tidepool - includes the SQLite driver: connection, transactions, codecs, the pool, and the database with one writer and several readers.
// Needs SQLite 3.34 or newer.
#ifndef TIDEPOOL_SQLITE_HPP
#define TIDEPOOL_SQLITE_HPP

#include <sqlite3.h>  // for run()

#include "sqlite/codec.hpp"
#include "sqlite/connection.hpp"
#include "sqlite/connector.hpp"
#include "sqlite/database.hpp"
#include "sqlite/error.hpp"
#include "sqlite/options.hpp"
#include "sqlite/pool.hpp"
#include "sqlite/result.hpp"
#include "sqlite/transaction.hpp"

#endif
