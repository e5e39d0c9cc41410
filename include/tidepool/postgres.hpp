// tidepool - PostgreSQL: connection, transaction, codecs, and the pool of them.
#ifndef TIDEPOOL_POSTGRES_HPP
#define TIDEPOOL_POSTGRES_HPP

#include "postgres/codec.hpp"
#include "postgres/connection.hpp"
#include "postgres/connector.hpp"
#include "postgres/error.hpp"
#include "postgres/listener.hpp"
#include "postgres/options.hpp"
#include "postgres/pool.hpp"
#include "postgres/result.hpp"
#include "postgres/transaction.hpp"

#endif
