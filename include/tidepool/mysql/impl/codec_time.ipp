// SPDX-License-Identifier: BSL-1.0
// tidepool - dates and times: see lazy.hpp.
#ifndef TIDEPOOL_MYSQL_IMPL_CODEC_TIME_IPP
#define TIDEPOOL_MYSQL_IMPL_CODEC_TIME_IPP

#include <chrono>
#include <cstdint>

#include "../../version.hpp"
#include "../codec_time.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::mysql::detail {

TIDEPOOL_LAZY_BODY std::int64_t micros_of(const value& v, storage wanted) {
  if (v.kind() != wanted) throw conversion_error(wanted == storage::date ? "a DATE" : "a DATETIME or TIMESTAMP");
  const civil_time civil = v.civil();
  if (civil.is_zero()) throw conversion_error("a day of the calendar, but MySQL's zero date: read it as std::optional");
  const std::chrono::year_month_day day(std::chrono::year(static_cast<int>(civil.year)), std::chrono::month(civil.month),
                                        std::chrono::day(civil.day));
  if (!day.ok()) throw conversion_error("a day of the calendar");
  const std::int64_t seconds = (std::int64_t{civil.hour} * 60 + civil.minute) * 60 + civil.second;
  return std::int64_t{std::chrono::sys_days(day).time_since_epoch().count()} * micros_per_day + seconds * 1'000'000 + civil.micro;
}

TIDEPOOL_LAZY_BODY civil_time civil_of(std::int64_t days, std::int64_t micros) {
  // 0001-01-01 to 9999-12-31.
  if (days < -719'162 || days > 2'932'896) throw error(errc::bad_parameter, "a day outside of the years 1 to 9999, which MySQL has");
  const std::chrono::year_month_day day{std::chrono::sys_days(std::chrono::days(static_cast<int>(days)))};
  civil_time out;
  out.year = static_cast<unsigned>(static_cast<int>(day.year()));
  out.month = static_cast<unsigned>(day.month());
  out.day = static_cast<unsigned>(day.day());
  out.micro = static_cast<unsigned>(micros % 1'000'000);
  const auto seconds = static_cast<unsigned>(micros / 1'000'000);
  out.second = seconds % 60;
  out.minute = seconds / 60 % 60;
  out.hour = seconds / 3600;
  return out;
}

TIDEPOOL_LAZY_BODY void encode_time(parameter& out, std::int64_t micros, bool fits) {
  constexpr std::int64_t most = ((std::int64_t{838} * 60 + 59) * 60 + 59) * 1'000'000;
  if (!fits || micros > most || micros < -most) throw error(errc::bad_parameter, "beyond 838:59:59, which TIME ends at");
  out.time(micros);
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::mysql::detail

#endif
