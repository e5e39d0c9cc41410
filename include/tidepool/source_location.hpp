// SPDX-License-Identifier: BSL-1.0
// tidepool - std::source_location where the library has it, the compiler's builtins where it does not (Clang 14 on libstdc++ 12).
#ifndef TIDEPOOL_SOURCE_LOCATION_HPP
#define TIDEPOOL_SOURCE_LOCATION_HPP

#include <version>
#if defined(__cpp_lib_source_location)
#include <source_location>
#endif
#include <cstdint>

#include "version.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE {

#if defined(__cpp_lib_source_location)
using source_location = std::source_location;
#else
/// A replacement with the members of `std::source_location` that the pool uses.
class source_location {
 public:
  static constexpr source_location current(const char* file = __builtin_FILE(), const char* function = __builtin_FUNCTION(),
                                           std::uint_least32_t line = __builtin_LINE()) noexcept {
    source_location out;
    out.file_ = file;
    out.function_ = function;
    out.line_ = line;
    return out;
  }
  constexpr const char* file_name() const noexcept { return file_; }
  constexpr const char* function_name() const noexcept { return function_; }
  constexpr std::uint_least32_t line() const noexcept { return line_; }
  constexpr std::uint_least32_t column() const noexcept { return 0; }

 private:
  const char* file_ = "";
  const char* function_ = "";
  std::uint_least32_t line_ = 0;
};
#endif

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE

#endif
