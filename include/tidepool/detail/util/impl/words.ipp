// SPDX-License-Identifier: BSL-1.0
// tidepool - durations, places, counts and leases in words.
#ifndef TIDEPOOL_DETAIL_UTIL_IMPL_WORDS_IPP
#define TIDEPOOL_DETAIL_UTIL_IMPL_WORDS_IPP

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "../../../version.hpp"
#include "../words.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail {

/// `value / unit` with at most one decimal, which is left out where it is zero and from 100 on: "9.8", "10", "250".
inline std::string short_number(std::int64_t value, std::int64_t unit) {
  if (value >= 100 * unit) return std::to_string((value - unit / 2) / unit + 1);  // rounded, without an overflow
  const std::int64_t tenths = (value * 10 + unit / 2) / unit;
  std::string out = std::to_string(tenths / 10);
  if (tenths < 1000 && tenths % 10 != 0) out += "." + std::to_string(tenths % 10);
  return out;
}

std::string in_words(duration d) {
  constexpr std::int64_t us = 1'000, ms = 1'000 * us, s = 1'000 * ms;
  if (d == no_limit) return "no limit";
  const std::int64_t ns = std::max<std::int64_t>(d.count(), 0);
  if (ns == 0) return "0 s";
  if (ns < us) return std::to_string(ns) + " ns";
  if (ns < ms - us / 2) return short_number(ns, us) + " us";
  if (ns < s - ms / 2) return short_number(ns, ms) + " ms";
  if (ns < 120 * s - s / 2) return short_number(ns, s) + " s";
  const auto two = [](std::int64_t value, std::int64_t of, const char* many, const char* few) {
    return std::to_string(value / of) + many + (value % of ? " " + std::to_string(value % of) + few : "");
  };
  const std::int64_t seconds = (ns - s / 2) / s + 1;
  if (seconds < 2 * 3'600 - 30) return two(seconds, 60, " min", " s");
  const std::int64_t minutes = (seconds + 30) / 60;
  if (minutes < 2 * 1'440 - 30) return two(minutes, 60, " h", " min");
  return two((minutes + 30) / 60, 24, " d", " h");
}

std::string counted(std::size_t n, std::string_view one, std::string_view many) {
  return std::to_string(n) + " " + std::string(n == 1 ? one : many);
}

std::string_view without_folders(std::string_view path) noexcept {
  const std::size_t cut = path.find_last_of("/\\");
  return cut == std::string_view::npos ? path : path.substr(cut + 1);
}
std::string place(const source_location& where) {
  const std::string_view file = where.file_name() ? without_folders(where.file_name()) : std::string_view();
  return file.empty() ? std::string() : std::string(file) + ":" + std::to_string(where.line());
}

std::string one_line(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const bool blank = static_cast<unsigned char>(c) <= 0x20 || c == 0x7f;
    if (!blank) {
      out += c;
    } else if (!out.empty() && out.back() != ' ') {
      out += ' ';
    }
  }
  if (!out.empty() && out.back() == ' ') out.pop_back();
  return out;
}

std::string in_words(const lease_report& lease) {
  std::string out = "#" + std::to_string(lease.id);
  if (lease.held > duration::zero()) out += " for " + in_words(lease.held);
  if (const std::string from = place(lease.acquired_at); !from.empty()) out += " from " + from;
  std::string more = one_line(lease.label.view());
  if (lease.waiting >= std::chrono::seconds(1)) {
    more += (more.empty() ? "" : "; ") + ("waiting for the server for " + in_words(lease.waiting));
  }
  return more.empty() ? out : out + " (" + more + ")";
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail

#endif
