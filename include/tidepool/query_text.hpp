// SPDX-License-Identifier: BSL-1.0
// tidepool - the text of a statement for any driver, with the place where the program gives it.
#ifndef TIDEPOOL_QUERY_TEXT_HPP
#define TIDEPOOL_QUERY_TEXT_HPP

#include <concepts>
#include <string>
#include <string_view>

#include "source_location.hpp"
#include "version.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE {

/// What the verbs take as the text of a statement: string literals, `std::string`, `std::string_view`, and whatever converts to the latter
/// become one by themselves. It notes the place of the call, because a default argument cannot stand behind the parameters of a statement.
/// Refers to the text, which the verbs copy when they are called. In a function of your own that passes statements on, take a
/// `query_text` too: errors (`options::statement_in_errors`) then name the place of its caller.
class query_text {
 public:
  constexpr query_text(const char* text, source_location from = source_location::current()) : text_(text), from_(from) {}
  constexpr query_text(std::string_view text, source_location from = source_location::current()) : text_(text), from_(from) {}
  query_text(const std::string& text, source_location from = source_location::current()) : text_(text), from_(from) {}
  template <class T>
  requires std::convertible_to<const T&, std::string_view>
  constexpr query_text(const T& text, source_location from = source_location::current()) : text_(text), from_(from) {}

  constexpr std::string_view view() const noexcept { return text_; }
  constexpr operator std::string_view() const noexcept { return text_; }
  constexpr const source_location& from() const noexcept { return from_; }

 private:
  std::string_view text_;
  source_location from_;
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE

#endif
