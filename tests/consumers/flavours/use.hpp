// SPDX-License-Identifier: BSL-1.0
// tidepool - what the two halves of the program say to each other: nothing of the pool's, whose types are not the same.
#ifndef TIDEPOOL_TESTS_FLAVOURS_USE_HPP
#define TIDEPOOL_TESTS_FLAVOURS_USE_HPP

#include <string>
#include <system_error>

struct used {
  int number = 0;
  std::string pool_type;
  std::string error_type;
  std::error_code code;
  bool known = false;
};
used with_standalone();
used with_boost();

#endif
