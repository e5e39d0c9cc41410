// SPDX-License-Identifier: BSL-1.0
// tidepool - puts the program into a locale with a decimal comma for a while.
#ifndef TIDEPOOL_TESTS_COMMA_LOCALE_HPP
#define TIDEPOOL_TESTS_COMMA_LOCALE_HPP

#include <clocale>
#include <string>

namespace tidepool_tests {

class comma_locale {
 public:
  comma_locale() : before_(std::setlocale(LC_NUMERIC, nullptr)) {
    for (const char* name : {"de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "fr_FR.utf8"}) {
      if (std::setlocale(LC_NUMERIC, name)) {
        there_ = *std::localeconv()->decimal_point == ',';
        return;
      }
    }
  }
  ~comma_locale() { std::setlocale(LC_NUMERIC, before_.c_str()); }
  comma_locale(const comma_locale&) = delete;
  comma_locale& operator=(const comma_locale&) = delete;
  /// Whether the machine has one.
  explicit operator bool() const { return there_; }

 private:
  std::string before_;
  bool there_ = false;
};

}  // namespace tidepool_tests

#endif
