// SPDX-License-Identifier: BSL-1.0
// tidepool - the smaller and the larger of two: std::min and std::max are in <algorithm>, which costs every file a fiftieth of what the
// compiler does for a handler. Headers that a handler needs include this one instead.
#ifndef TIDEPOOL_DETAIL_UTIL_SMALLER_HPP
#define TIDEPOOL_DETAIL_UTIL_SMALLER_HPP

#include <type_traits>

#include "../../version.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail {

template <class T>
constexpr T smaller_of(T a, std::type_identity_t<T> b) {
  return b < a ? b : a;
}
template <class T>
constexpr T larger_of(T a, std::type_identity_t<T> b) {
  return a < b ? b : a;
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail

#endif
