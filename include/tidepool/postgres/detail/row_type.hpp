// SPDX-License-Identifier: BSL-1.0
// tidepool - which types rows of this driver are read into: see detail/driver/row_type.hpp.
#ifndef TIDEPOOL_POSTGRES_DETAIL_ROW_TYPE_HPP
#define TIDEPOOL_POSTGRES_DETAIL_ROW_TYPE_HPP

#include <string_view>
#include <type_traits>

#include "../../detail/driver/row_type.hpp"
#include "../../version.hpp"
#include "../codec.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail {

using tidepool::detail::type_words;

struct codecs {
  template <class T>
  static constexpr bool reads = decodable<T>;
  template <class T>
  static constexpr bool refers = std::is_same_v<typename unwrapped<T>::type, std::string_view>;
  template <class T>
  static constexpr bool is_sequence = is_nested<T>::value;
  template <class T>
  static consteval bool require() {
    return require_decoder<T>();
  }
};

template <class T>
inline constexpr bool owns_data = tidepool::detail::owns<T, codecs>();

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail

#endif
