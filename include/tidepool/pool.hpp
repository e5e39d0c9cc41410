// SPDX-License-Identifier: BSL-1.0
// tidepool - includes all headers of the pool. Drivers have headers of their own.
#ifndef TIDEPOOL_POOL_HPP
#define TIDEPOOL_POOL_HPP

#include "advice.hpp"
#include "basic_pool.hpp"
#include "complete_within.hpp"
#include "config.hpp"
#include "connect_context.hpp"
#include "connection.hpp"
#include "error.hpp"
#include "events.hpp"
#include "lease.hpp"
#include "policy/combined_observers.hpp"
#include "pool_error.hpp"
#include "run.hpp"
#include "states.hpp"
#include "stats.hpp"
#include "time.hpp"
#include "traits.hpp"

#endif
