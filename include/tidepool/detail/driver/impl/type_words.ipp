// SPDX-License-Identifier: BSL-1.0
// tidepool - names of C++ types for errors: see lazy.hpp.
#ifndef TIDEPOOL_DETAIL_DRIVER_IMPL_TYPE_WORDS_IPP
#define TIDEPOOL_DETAIL_DRIVER_IMPL_TYPE_WORDS_IPP

#include <string>
#include <string_view>

#include "../../../version.hpp"
#include "../type_words.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail {

TIDEPOOL_LAZY_BODY std::string type_in(std::string_view words) {
  const auto from = words.find("T = ");
  if (from == std::string_view::npos) return "this type";
  words.remove_prefix(from + 4);
  words = words.substr(0, words.rfind(']'));
  std::string out(words);
  constexpr const char* version = TIDEPOOL_DETAIL_EXPANDED_TEXT_OF(TIDEPOOL_VERSION_NAMESPACE) "::";
  for (const std::string_view noise : {"__cxx11::", "{anonymous}::", "(anonymous namespace)::", version}) {
    for (auto at = out.find(noise); at != std::string::npos; at = out.find(noise, at)) out.erase(at, noise.size());
  }
  return out;
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail

#endif
