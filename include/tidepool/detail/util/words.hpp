// SPDX-License-Identifier: BSL-1.0
// tidepool - durations, places, counts and leases in words, for errors, logs and descriptions. Independent of the program's locale.
#ifndef TIDEPOOL_DETAIL_UTIL_WORDS_HPP
#define TIDEPOOL_DETAIL_UTIL_WORDS_HPP

#include <cstddef>
#include <string>
#include <string_view>

#include "../../events.hpp"
#include "../../version.hpp"
#include "linkage.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail {

/// "9.8 s", "250 ms", "2 min 30 s", "5 h 10 min", "3 d 4 h"; "no limit" for that. A negative one counts as zero.
TIDEPOOL_DECL std::string in_words(duration d);
/// "1 connection", "2 connections".
TIDEPOOL_DECL std::string counted(std::size_t n, std::string_view one, std::string_view many);
/// A file's name without its folders.
TIDEPOOL_DECL std::string_view without_folders(std::string_view path) noexcept;
/// "orders.cpp:42"; empty where the place is not known.
TIDEPOOL_DECL std::string place(const source_location& where);
/// Labels and error texts may hold text of a client: it must not make new lines, nor control a terminal. One blank for each row of such
/// characters and blanks; none at the ends.
TIDEPOOL_DECL std::string one_line(std::string_view text);
/// "#7 for 9.8 s from report.cpp:12 (nightly report)"; with what its server does, where it has been silent for a second.
TIDEPOOL_DECL std::string in_words(const lease_report& lease);
/// The leases of a range, with commas between them.
template <class Range>
std::string listed(const Range& leases) {
  std::string out;
  for (const lease_report& lease : leases) out += (out.empty() ? "" : ", ") + in_words(lease);
  return out;
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail

#if TIDEPOOL_HEADER_ONLY
#include "impl/words.ipp"
#endif

#endif
