// SPDX-License-Identifier: BSL-1.0
// tidepool - a header of a user that only names pools: what it declares is what is defined, and it includes no Asio for that.
#include <tidepool/fwd.hpp>
#include <tidepool/postgres/fwd.hpp>

#if defined(ASIO_VERSION) || defined(BOOST_ASIO_VERSION)
#error "fwd.hpp includes Asio"
#endif

struct kept_connection;
using kept_pool = tidepool::basic_pool<kept_connection>;
using kept_lease = tidepool::basic_lease<kept_connection>;
tidepool::errc named(kept_pool&, kept_lease&, const tidepool::pool_config&, const tidepool::pool_error&, const tidepool::pool_stats&);
tidepool::postgres::errc named(tidepool::postgres::pool&, tidepool::postgres::connection&, const tidepool::postgres::error&);
int shared(tidepool::postgres::multiplexer&, tidepool::postgres::multiplexers&, const tidepool::postgres::multiplexer_options&);

#include <tidepool/pool.hpp>

#include <type_traits>

struct kept_connection {};
static_assert(std::is_same_v<kept_pool, tidepool::basic_pool<kept_connection, tidepool::default_traits<kept_connection>>>);
static_assert(std::is_same_v<kept_pool::lease, kept_lease>);
static_assert(std::is_same_v<decltype(named(std::declval<kept_pool&>(), std::declval<kept_lease&>(), std::declval<tidepool::pool_config&>(),
                                            std::declval<tidepool::pool_error&>(), std::declval<tidepool::pool_stats&>())),
                             tidepool::errc>);
