// tidepool - the driver's time and chance.
//
// A pool can be simulated, so it takes both from its Traits. libpq and sockets know no time but the real one, and so does the driver.
#ifndef TIDEPOOL_POSTGRES_DETAIL_REAL_TIME_HPP
#define TIDEPOOL_POSTGRES_DETAIL_REAL_TIME_HPP

#include <chrono>
#include <random>

#include "../../detail/asio_io.hpp"

namespace tidepool::postgres::detail {

using clock = std::chrono::steady_clock;
using real_timer = asio::steady_timer;  // NOLINT(clock)
using random_engine = std::minstd_rand;
inline random_engine seeded_random() { return random_engine(std::random_device{}()); }  // NOLINT(clock)

}  // namespace tidepool::postgres::detail

#endif
