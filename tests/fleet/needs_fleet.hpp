// SPDX-License-Identifier: BSL-1.0
// tidepool - first line of a test of the fleet.
#ifndef TIDEPOOL_TESTS_FLEET_NEEDS_FLEET_HPP
#define TIDEPOOL_TESTS_FLEET_NEEDS_FLEET_HPP

#include "../support/catch.hpp"
#include "fleet.hpp"

#define NEEDS_FLEET()                                                                \
  do {                                                                               \
    if (!tidepool_fleet::there()) {                                                  \
      WARN("skipped: there is no fleet; tests/fleet/rig.sh run PROGRAM starts one"); \
      return;                                                                        \
    }                                                                                \
    tidepool_fleet::prepare();                                                       \
  } while (false)

#endif
