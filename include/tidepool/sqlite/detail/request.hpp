// SPDX-License-Identifier: BSL-1.0
// tidepool - one statement and its parameters.
#ifndef TIDEPOOL_SQLITE_DETAIL_REQUEST_HPP
#define TIDEPOOL_SQLITE_DETAIL_REQUEST_HPP

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "../../detail/util/lazy.hpp"
#include "../../query_text.hpp"
#include "../../source_location.hpp"
#include "../../version.hpp"
#include "../codec.hpp"
#include "../within.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::sqlite::detail {

class request {
 public:
  TIDEPOOL_LAZY request(std::string_view text, const source_location& called_from, duration within);
  template <class... Args>
  static request of(query_text sql, duration limit, const Args&... args) {
    request made(sql.view(), sql.from(), limit);
    made.bind(args...);
    return made;
  }

  std::string sql;
  source_location from;
  duration limit;
  std::vector<kept_value> values{};
  std::string bytes{};  ///< of the parameters

 private:
  template <class... Args>
  void bind(const Args&... args) {
    if constexpr (sizeof...(Args) > 0) {
      values.reserve(sizeof...(Args));
      try {
        (add(args), ...);
      } catch (const error& failure) {
        refuse(failure);
      }
    }
  }
  template <class T>
  void add(const T& given) {
    parameter out(bytes);
    if constexpr (encodable<T>) {  // refused at compile time, in words
      if (!is_null(given)) codec_for<T>::encode(out, strip_optional(given));
    }
    values.push_back(out.made());
  }
  /// Says which parameter it is that a codec refuses.
  TIDEPOOL_LAZY [[noreturn]] void refuse(const error& failure) const;
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::sqlite::detail

#if TIDEPOOL_HEADER_ONLY
#include "../impl/request.ipp"
#endif

#endif
