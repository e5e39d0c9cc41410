// SPDX-License-Identifier: BSL-1.0
// tidepool - both versions run in one program, one after the other, twice.
#include <cstdio>

#include "user.hpp"

namespace {

bool well(const seen& one) {
  std::printf("%s: %d leases, %llu counted, a histogram of %zu bytes%s\n", one.version.c_str(), one.leases,
              static_cast<unsigned long long>(one.counted), one.histogram_size, one.failed ? ", FAILED" : "");
  return !one.failed && one.leases == 100 && one.counted == 100;
}

}  // namespace

int main() {
  for (int round = 0; round < 2; ++round) {
    const seen one = this_version();
    const seen other = other_version();
    if (!well(one) || !well(other)) return 1;
    if (one.version == other.version || one.histogram_size == other.histogram_size) {
      std::puts("FAILED: both are the same version");
      return 1;
    }
  }
  return 0;
}
