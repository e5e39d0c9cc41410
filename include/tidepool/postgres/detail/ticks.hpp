// SPDX-License-Identifier: BSL-1.0
// tidepool - durations of every unit from and to microseconds, exact or refused.
// Before the guard: codec.hpp includes this file where its own declarations are complete.
#include "../../version.hpp"
#include "../codec.hpp"

#ifndef TIDEPOOL_POSTGRES_DETAIL_TICKS_HPP
#define TIDEPOOL_POSTGRES_DETAIL_TICKS_HPP

#include <chrono>
#include <concepts>
#include <cstdint>
#include <limits>
#include <optional>
#include <ratio>
#include <type_traits>

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail {

template <class D>
struct is_duration : std::false_type {};
template <class Rep, class Period>
struct is_duration<std::chrono::duration<Rep, Period>> : std::is_arithmetic<Rep> {};
template <class D>
concept tick_span = is_duration<D>::value;

/// A count of few bits ends in times that are ordinary ones: 2038 for seconds in 32 bits.
template <class D>
inline constexpr bool has_infinity = std::floating_point<typename D::rep> || sizeof(typename D::rep) >= sizeof(std::int64_t);

/// What stands for infinity and -infinity.
template <class D>
requires has_infinity<D>
constexpr D infinite_ticks(bool negative) {
  using rep = typename D::rep;
  if constexpr (std::floating_point<rep>) {
    return D(negative ? -std::numeric_limits<rep>::infinity() : std::numeric_limits<rep>::infinity());
  } else {
    return negative ? D::min() : D::max();
  }
}

/// How many of `D` are one microsecond, as a fraction in lowest terms.
template <class D>
using per_micro = std::ratio_divide<std::micro, typename D::period>;

enum class rounding { down, to_zero };

/// Nothing: out of range, or no number. Integers finer than a microsecond are cut off as `how` says, floating-point counts rounded to the
/// nearest, because they hold most fractions only nearly.
template <class D>
std::optional<std::int64_t> to_micros(D from, rounding how) {
  using rep = typename D::rep;
  constexpr std::int64_t most = std::numeric_limits<std::int64_t>::max(), least = std::numeric_limits<std::int64_t>::min();
  if constexpr (std::floating_point<rep>) {
    const long double micros = std::chrono::duration<long double, std::micro>(from).count();
    if (!(micros > -9.2e18L && micros < 9.2e18L)) return std::nullopt;
    const auto whole = static_cast<std::int64_t>(micros);
    const long double rest = micros - static_cast<long double>(whole);  // exact
    return whole + (rest >= 0.5L ? 1 : 0) - (rest <= -0.5L ? 1 : 0);    // as std::llround, which costs all of <cmath>
  } else {
    constexpr std::int64_t times = per_micro<D>::den, part = per_micro<D>::num;
    static_assert(times <= most / part, "the ratio of this unit to a microsecond is too odd");
    if constexpr (std::is_unsigned_v<rep> && sizeof(rep) >= sizeof(std::int64_t)) {
      if (from.count() > static_cast<rep>(most)) return std::nullopt;
    }
    const auto count = static_cast<std::int64_t>(from.count());
    const std::int64_t whole = count / part, rest = count % part * times;
    if (whole > most / times || whole < least / times) return std::nullopt;
    std::int64_t micros = whole * times;
    std::int64_t more = rest / part;
    if (how == rounding::down && rest % part < 0) --more;
    if (more > 0 ? micros > most - more : micros < least - more) return std::nullopt;
    micros += more;
    return micros;
  }
}

/// A conversion error where `D` has no such value: never rounded, but into floating-point counts.
template <class D>
D from_micros(std::int64_t micros) {
  using rep = typename D::rep;
  if constexpr (std::floating_point<rep>) {
    return std::chrono::duration_cast<D>(std::chrono::duration<long double, std::micro>(static_cast<long double>(micros)));
  } else {
    constexpr std::int64_t part = per_micro<D>::den, times = per_micro<D>::num;
    if (micros % part != 0) {
      throw conversion_error("whole in the unit of the C++ type, which is coarser: read it with std::chrono::microseconds");
    }
    const std::int64_t whole = micros / part;
    constexpr std::int64_t most = std::numeric_limits<std::int64_t>::max() / times;
    bool fits = whole <= most && whole >= -most;
    if constexpr (std::is_unsigned_v<rep>) {
      fits = fits && whole >= 0;
      if constexpr (sizeof(rep) < sizeof(std::int64_t)) fits = fits && whole * times <= std::int64_t{std::numeric_limits<rep>::max()};
    } else if constexpr (sizeof(rep) < sizeof(std::int64_t)) {
      fits = fits && whole * times <= std::numeric_limits<rep>::max() && whole * times >= std::numeric_limits<rep>::min();
    }
    if (!fits) throw conversion_error("within the range of the C++ type, whose unit is too fine: read it with std::chrono::microseconds");
    return D(static_cast<rep>(whole * times));
  }
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail

#endif
