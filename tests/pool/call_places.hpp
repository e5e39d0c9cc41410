// SPDX-License-Identifier: BSL-1.0
// tidepool - places in the files of a shop, for errors that quote where something was asked for.
#ifndef TIDEPOOL_TESTS_CALL_PLACES_HPP
#define TIDEPOOL_TESTS_CALL_PLACES_HPP

#include <tidepool/source_location.hpp>

namespace tidepool_tests {

using tidepool::source_location;

// From here on lines and file are those that `#line` says, to the end of this file.
// clang-format off
#line 42 "/srv/shop/src/orders.cpp"
inline source_location in_orders() { return source_location::current(); }
#line 12 "/srv/shop/src/report.cpp"
inline source_location in_report() { return source_location::current(); }
#line 30 "main.cpp"
inline source_location in_main() { return source_location::current(); }
// clang-format on

}  // namespace tidepool_tests

#endif
