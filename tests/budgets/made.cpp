// SPDX-License-Identifier: BSL-1.0
// tidepool - what the pools of cases.hpp do, where it is compiled apart from what uses them.
#include <tidepool/instantiate.hpp>

#include "cases.hpp"

namespace b = tidepool_budgets;
TIDEPOOL_INSTANTIATE_POOL(b::nothing, b::defaults);
TIDEPOOL_INSTANTIATE_POOL(b::nothing, b::concrete);
TIDEPOOL_INSTANTIATE_POOL(b::nothing, b::one_thread);
TIDEPOOL_INSTANTIATE_POOL(b::nothing, b::bare);
TIDEPOOL_INSTANTIATE_POOL(b::nothing, b::without_health);
TIDEPOOL_INSTANTIATE_POOL(b::nothing, b::without_leaks);
TIDEPOOL_INSTANTIATE_POOL(b::nothing, b::without_scaling);
TIDEPOOL_INSTANTIATE_POOL(b::nothing, b::without_lifetime);
TIDEPOOL_INSTANTIATE_POOL(b::nothing, b::without_breaker);
TIDEPOOL_INSTANTIATE_POOL(b::nothing, b::heavy_health);
TIDEPOOL_INSTANTIATE_POOL(b::nothing, b::recorded);
