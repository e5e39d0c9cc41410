// SPDX-License-Identifier: BSL-1.0
// tidepool - traits of a pool that stashes leases from the second on: by default the first ones are timed, and take the slow path.
#ifndef TIDEPOOL_TESTS_PARKING_TRAITS_HPP
#define TIDEPOOL_TESTS_PARKING_TRAITS_HPP

#include <tidepool/traits.hpp>

#include <cstdint>

namespace tidepool_tests {

template <class Base>
struct stashing : Base {
  static constexpr std::uint64_t hold_sampling = 16;
  static constexpr std::uint64_t hold_sampling_ramp = 0;
};

}  // namespace tidepool_tests

#endif
