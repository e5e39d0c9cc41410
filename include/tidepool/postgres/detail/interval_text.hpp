// SPDX-License-Identifier: BSL-1.0
// tidepool - reads intervals in the four styles of the server, and writes one that each of them takes.
// Before the guard: codec.hpp includes this file where its own declarations are complete.
#include "../../detail/util/linkage.hpp"
#include "../../version.hpp"
#include "../codec.hpp"

#ifndef TIDEPOOL_POSTGRES_DETAIL_INTERVAL_TEXT_HPP
#define TIDEPOOL_POSTGRES_DETAIL_INTERVAL_TEXT_HPP

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

#include "calendar.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail {

struct interval_parts {
  std::int64_t months = 0, days = 0, micros = 0;
};

/// `intervalstyle`: postgres "1 year 2 mons -3 days +04:05:06.789", postgres_verbose "@ 1 year 2 mons -3 days 4 hours ... 6.789 secs ago",
/// sql_standard "+1-2 -3 +4:05:06.789", iso_8601 "P1Y2M-3DT4H5M6.789S". No text of one means something else in another.
class interval_reader {
 public:
  explicit interval_reader(std::string_view text) : text_(text) {}

  TIDEPOOL_DECL interval_parts read();

 private:
  static constexpr std::int64_t second = 1'000'000, minute = 60 * second, hour = 60 * minute;

  [[noreturn]] TIDEPOOL_DECL static void fail();
  char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  TIDEPOOL_DECL bool accept(char c);
  TIDEPOOL_DECL void expect(char c);
  TIDEPOOL_DECL bool accept(std::string_view word);
  TIDEPOOL_DECL std::uint64_t number();
  /// After a point: microseconds.
  TIDEPOOL_DECL std::uint64_t fraction();
  /// -1 or 1.
  TIDEPOOL_DECL int sign();
  TIDEPOOL_DECL void add(std::int64_t& to, std::uint64_t count, std::int64_t unit, int direction) const;
  /// Seconds from "6" or "6.789".
  TIDEPOOL_DECL void add_seconds(std::uint64_t whole, int direction);

  TIDEPOOL_DECL void iso();

  TIDEPOOL_DECL void words();
  TIDEPOOL_DECL bool unit(std::uint64_t count, int direction);

  std::string_view text_;
  std::size_t at_ = 0;
  bool ago_ = false;
  interval_parts out_;
};

/// Each field has its sign where there are several: in the style sql_standard one in front would count for all.
TIDEPOOL_DECL void append_interval(std::string& out, const interval_parts& value);

/// A day is 24 hours.
TIDEPOOL_DECL std::int64_t add_days(std::int64_t micros, std::int64_t days);

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail

#endif
