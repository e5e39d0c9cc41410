// SPDX-License-Identifier: BSL-1.0
// tidepool - the members of a plain struct as a tuple, without macros.
#ifndef TIDEPOOL_DETAIL_DRIVER_AGGREGATE_HPP
#define TIDEPOOL_DETAIL_DRIVER_AGGREGATE_HPP

#include <cstddef>
#include <exception>
#include <tuple>
#include <type_traits>
#include <utility>

#include "../../version.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail {

/// Stands for any member in unevaluated initialisers. Defined all the same, because `std::optional`'s constructor refers to it, and Clang
/// wants a definition where T is in an anonymous namespace.
struct any_member {
  template <class T>
  operator T() const noexcept {
    std::terminate();
  }
};

inline constexpr std::size_t most_members = 16;

/// How many members an aggregate has: as many as its braces take. Fewer are not taken where a member has no default constructor.
template <class T, bool Taken = false, class... Members>
consteval std::size_t member_count() {
  if constexpr (requires { T{Members{}..., any_member{}}; }) {
    return member_count<T, true, Members..., any_member>();
  } else if constexpr (!Taken && sizeof...(Members) < most_members) {
    return member_count<T, false, Members..., any_member>();
  } else {
    return Taken ? sizeof...(Members) : 0;
  }
}

/// Stands for a base class of T alone.
template <class T>
struct any_base_of {
  template <class U>
  requires(std::is_base_of_v<U, T> && !std::is_same_v<U, T>) operator U() const noexcept;
};
/// Stands for a member that refers to something constant: it would be bound to a temporary.
struct any_constant {
  template <class U>
  requires std::is_const_v<U>
  operator U&&() const noexcept;
};
template <std::size_t>
using any_at = any_member;

enum class struct_misfit { none, base, count, reference, array };

/// A base class, a reference or an array: what cannot be taken apart into one column for each member.
template <class T, std::size_t... Before, std::size_t... After>
consteval struct_misfit member_misfit(std::index_sequence<Before...>, std::index_sequence<After...>) {
  if constexpr (requires { T{any_at<Before>{}..., any_constant{}, any_at<After>{}...}; }) return struct_misfit::reference;
  // Initialisers of the elements of an array may stand without braces of their own: then they look like so many members.
  if constexpr (
      requires {
        T{any_at<Before>{}..., {}};
      } &&
      !requires {
        T{any_at<Before>{}..., {}, any_at<After>{}...};
      }) {
    return struct_misfit::array;
  }
  return struct_misfit::none;
}
template <class T>
consteval struct_misfit find_struct_misfit() {
  constexpr auto count = member_count<T>();
  if constexpr (requires { T{any_base_of<T>{}}; }) {
    return struct_misfit::base;
  } else if constexpr (count == 0 || count > most_members) {
    return struct_misfit::count;
  } else {
    return []<std::size_t... I>(std::index_sequence<I...>) {
      struct_misfit found = struct_misfit::none;
      ((found = found == struct_misfit::none ? member_misfit<T>(std::make_index_sequence<I>(), std::make_index_sequence<count - I - 1>())
                                             : found),
       ...);
      return found;
    }
    (std::make_index_sequence<count>());
  }
}
/// The first that is wrong with an aggregate.
template <class T>
inline constexpr struct_misfit struct_misfit_of = find_struct_misfit<T>();

/// References to all members.
template <class T>
auto tie_members(T& v) {
  constexpr auto count = member_count<std::remove_const_t<T>>();
  static_assert(count > 0 && count <= most_members, "a struct that rows are read into must have 1 to 16 members: use std::tuple for more");
  // clang-format off
  if constexpr (count == 1) { auto& [a] = v; return std::tie(a); }
  else if constexpr (count == 2) { auto& [a, b] = v; return std::tie(a, b); }
  else if constexpr (count == 3) { auto& [a, b, c] = v; return std::tie(a, b, c); }
  else if constexpr (count == 4) { auto& [a, b, c, d] = v; return std::tie(a, b, c, d); }
  else if constexpr (count == 5) { auto& [a, b, c, d, e] = v; return std::tie(a, b, c, d, e); }
  else if constexpr (count == 6) { auto& [a, b, c, d, e, f] = v; return std::tie(a, b, c, d, e, f); }
  else if constexpr (count == 7) { auto& [a, b, c, d, e, f, g] = v; return std::tie(a, b, c, d, e, f, g); }
  else if constexpr (count == 8) { auto& [a, b, c, d, e, f, g, h] = v; return std::tie(a, b, c, d, e, f, g, h); }
  else if constexpr (count == 9) { auto& [a, b, c, d, e, f, g, h, i] = v; return std::tie(a, b, c, d, e, f, g, h, i); }
  else if constexpr (count == 10) { auto& [a, b, c, d, e, f, g, h, i, j] = v; return std::tie(a, b, c, d, e, f, g, h, i, j); }
  else if constexpr (count == 11) { auto& [a, b, c, d, e, f, g, h, i, j, k] = v; return std::tie(a, b, c, d, e, f, g, h, i, j, k); }
  else if constexpr (count == 12) { auto& [a, b, c, d, e, f, g, h, i, j, k, l] = v; return std::tie(a, b, c, d, e, f, g, h, i, j, k, l); }
  else if constexpr (count == 13) { auto& [a, b, c, d, e, f, g, h, i, j, k, l, m] = v;
    return std::tie(a, b, c, d, e, f, g, h, i, j, k, l, m); }
  else if constexpr (count == 14) { auto& [a, b, c, d, e, f, g, h, i, j, k, l, m, n] = v;
    return std::tie(a, b, c, d, e, f, g, h, i, j, k, l, m, n); }
  else if constexpr (count == 15) { auto& [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o] = v;
    return std::tie(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o); }
  else { auto& [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = v;
    return std::tie(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p); }
  // clang-format on
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail

#endif
