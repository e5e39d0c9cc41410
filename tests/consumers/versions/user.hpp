// SPDX-License-Identifier: BSL-1.0
// tidepool - what each version's part of the program tells. No header of the library here: it would be of one version only.
#ifndef TIDEPOOL_TESTS_CONSUMERS_VERSIONS_USER_HPP
#define TIDEPOOL_TESTS_CONSUMERS_VERSIONS_USER_HPP

#include <cstddef>
#include <cstdint>
#include <string>

struct seen {
  std::string version;
  std::size_t histogram_size = 0;
  int leases = 0;
  std::uint64_t counted = 0;
  bool failed = true;
};

seen this_version();
seen other_version();

#endif
