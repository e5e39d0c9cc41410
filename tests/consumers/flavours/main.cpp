// SPDX-License-Identifier: BSL-1.0
// tidepool - one program with standalone Asio and Boost.Asio: both pools work, and no name of one is taken for that of the other.
#include <cstdio>

#include "use.hpp"

int main() {
  const used standalone = with_standalone();
  const used boost = with_boost();
  const auto check = [](bool ok, const char* what) {
    if (!ok) std::printf("NOT TRUE: %s\n", what);
    return ok;
  };
  bool all = check(standalone.number == 7 && boost.number == 7, "both pools serve");
  all = check(standalone.pool_type != boost.pool_type, "the pools are different types") && all;
  all = check(boost.pool_type.find("_boost") != std::string::npos, "the pool on Boost.Asio is in a namespace of its own") && all;
  all = check(standalone.error_type != boost.error_type, "the error codes are different types") && all;
  all = check(standalone.known && boost.known, "both know their errors as std::error_code") && all;
  all = check(standalone.code.message() == boost.code.message(), "the errors say the same") && all;
  return all ? 0 : 1;
}
