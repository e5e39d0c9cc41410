// SPDX-License-Identifier: BSL-1.0
// tidepool - includes the driver for MySQL and MariaDB: connection, transactions, codecs, and the pool.
// Needs MariaDB Connector/C 3.3 or newer (libmariadb-dev), whose calls can be suspended; it serves MySQL's servers as well.
#ifndef TIDEPOOL_MYSQL_HPP
#define TIDEPOOL_MYSQL_HPP

#include "mysql/cancel.hpp"
#include "mysql/codec.hpp"
#include "mysql/connection.hpp"
#include "mysql/connector.hpp"
#include "mysql/error.hpp"
#include "mysql/options.hpp"
#include "mysql/pool.hpp"
#include "mysql/result.hpp"
#include "mysql/statement.hpp"
#include "mysql/stream.hpp"
#include "mysql/transaction.hpp"
#include "mysql/within.hpp"

#endif
