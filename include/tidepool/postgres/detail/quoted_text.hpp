// SPDX-License-Identifier: BSL-1.0
// tidepool - fields of composites and bounds of ranges: `(1,"a ""quoted"" b",)`, `["2024-01-01 00:00:00",)`.
#ifndef TIDEPOOL_POSTGRES_DETAIL_QUOTED_TEXT_HPP
#define TIDEPOOL_POSTGRES_DETAIL_QUOTED_TEXT_HPP

#include <cstddef>
#include <string>
#include <string_view>

#include "../../version.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail {

/// Reads what `record_out` and `range_out` of the server print, and nothing else. Each function is false where the text is another.
class quoted_reader {
 public:
  explicit quoted_reader(std::string_view text) : text_(text) {}

  bool accept(char c) {
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  bool at_end() const { return at_ == text_.size(); }
  /// Up to the character that ends it, which is one of `ends`. Nothing at all is no word, `present` is false then: NULL, or infinity.
  bool word(std::string& out, bool& present, std::string_view ends) {
    out.clear();
    present = true;
    if (accept('"')) {
      for (;;) {
        if (at_ >= text_.size()) return false;
        const char c = text_[at_++];
        if (c == '"' && !accept('"')) break;
        if (c == '\\' && !accept('\\')) return false;
        out += c;
      }
      return ended(ends);
    }
    // The server quotes everything that holds one of these.
    while (!ended(ends)) {
      if (at_ >= text_.size() || std::string_view("\"\\(), \t\n\v\f\r").find(text_[at_]) != std::string_view::npos) return false;
      out += text_[at_++];
    }
    present = !out.empty();
    return true;
  }

 private:
  bool ended(std::string_view ends) const { return at_ < text_.size() && ends.find(text_[at_]) != std::string_view::npos; }

  std::string_view text_;
  std::size_t at_ = 0;
};

inline void append_quoted(std::string& out, std::string_view word) {
  out += '"';
  for (const char c : word) {
    if (c == '"' || c == '\\') out += c;
    out += c;
  }
  out += '"';
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail

#endif
