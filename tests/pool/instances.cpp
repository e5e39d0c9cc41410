// SPDX-License-Identifier: BSL-1.0
// tidepool - the pool of most of these tests, compiled once for all of them.
#include <tidepool/instantiate.hpp>

#include "rig.hpp"

#if defined(TIDEPOOL_TEST_INSTANCES)
TIDEPOOL_INSTANTIATE_POOL(tidepool::testing::fake_connection, tidepool_tests::watched_traits<tidepool::testing::fake_connection>);
#endif
