// SPDX-License-Identifier: BSL-1.0
// tidepool - a string of fixed capacity, stored in place, without a destructor.
//
// Option structs are used as temporaries in `co_await` expressions, and GCC 12 destroys aggregate temporaries there
// twice; a trivially destructible one comes to no harm. It also keeps allocation out from under the pool's lock.
#ifndef TIDEPOOL_BOUNDED_STRING_HPP
#define TIDEPOOL_BOUNDED_STRING_HPP

#include <cstddef>
#include <ostream>
#include <string>
#include <string_view>

#include "version.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE {

/// Holds up to `Capacity` bytes. A longer text is cut, and `truncated()` is then true, so that validation can refuse it.
template <std::size_t Capacity>
class bounded_string {
 public:
  constexpr bounded_string() = default;
  constexpr bounded_string(std::string_view text) noexcept { assign(text); }
  constexpr bounded_string(const char* text) noexcept : bounded_string(std::string_view(text)) {}
  bounded_string(const std::string& text) noexcept : bounded_string(std::string_view(text)) {}

  constexpr void clear() noexcept {
    size_ = 0;
    truncated_ = false;
    data_[0] = '\0';
  }
  constexpr void assign(std::string_view text) noexcept {
    size_ = text.copy(data_, Capacity);
    truncated_ = text.size() > Capacity;
    data_[size_] = '\0';
  }
  constexpr std::string_view view() const noexcept { return {data_, size_}; }
  constexpr operator std::string_view() const noexcept { return view(); }
  constexpr const char* c_str() const noexcept { return data_; }
  constexpr bool empty() const noexcept { return size_ == 0; }
  constexpr bool truncated() const noexcept { return truncated_; }
  /// How many bytes it can hold.
  static constexpr std::size_t capacity() noexcept { return Capacity; }

  friend constexpr bool operator==(const bounded_string& a, std::string_view b) noexcept { return a.view() == b; }
  friend std::ostream& operator<<(std::ostream& out, const bounded_string& text) { return out << text.view(); }

 private:
  char data_[Capacity + 1] = {};
  std::size_t size_ = 0;
  bool truncated_ = false;
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE

#endif
