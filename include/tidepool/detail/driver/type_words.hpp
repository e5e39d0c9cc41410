// SPDX-License-Identifier: BSL-1.0
// tidepool - names of C++ types for error messages, without RTTI.
#ifndef TIDEPOOL_DETAIL_DRIVER_TYPE_WORDS_HPP
#define TIDEPOOL_DETAIL_DRIVER_TYPE_WORDS_HPP

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "../../version.hpp"
#include "../util/lazy.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail {

/// The compiler's words: "... [with T = user]", "... [T = user]".
template <class T>
const char* compiler_words() {
  return __PRETTY_FUNCTION__;
}
/// The type's name in them, without what inline namespaces add.
TIDEPOOL_LAZY std::string type_in(std::string_view words);

template <class T>
struct type_words_of {
  static std::string text() { return type_in(compiler_words<T>()); }
};
template <class... Ts>
std::string type_list() {
  std::string out;
  ((out += (out.empty() ? "" : ", ") + type_words_of<Ts>::text()), ...);
  return out;
}
template <class... Ts>
struct type_words_of<std::tuple<Ts...>> {
  static std::string text() { return "std::tuple<" + type_list<Ts...>() + ">"; }
};
template <class A, class B>
struct type_words_of<std::pair<A, B>> {
  static std::string text() { return "std::pair<" + type_list<A, B>() + ">"; }
};
template <class T>
struct type_words_of<std::optional<T>> {
  static std::string text() { return "std::optional<" + type_list<T>() + ">"; }
};
template <class T, class Allocator>
struct type_words_of<std::vector<T, Allocator>> {
  static std::string text() { return "std::vector<" + type_list<T>() + ">"; }
};

template <class Rep, class Period>
struct type_words_of<std::chrono::duration<Rep, Period>> {
  static std::string text() {
    using type = std::chrono::duration<Rep, Period>;
    if constexpr (std::is_same_v<type, std::chrono::nanoseconds>) return "std::chrono::nanoseconds";
    if constexpr (std::is_same_v<type, std::chrono::microseconds>) return "std::chrono::microseconds";
    if constexpr (std::is_same_v<type, std::chrono::milliseconds>) return "std::chrono::milliseconds";
    if constexpr (std::is_same_v<type, std::chrono::seconds>) return "std::chrono::seconds";
    if constexpr (std::is_same_v<type, std::chrono::minutes>) return "std::chrono::minutes";
    if constexpr (std::is_same_v<type, std::chrono::hours>) return "std::chrono::hours";
    if constexpr (std::is_same_v<type, std::chrono::days>) return "std::chrono::days";
    return type_in(compiler_words<type>());
  }
};
template <class Span>
struct type_words_of<std::chrono::time_point<std::chrono::system_clock, Span>> {
  static std::string text() { return "std::chrono::sys_time<" + type_list<Span>() + ">"; }
};
template <class Span>
struct type_words_of<std::chrono::time_point<std::chrono::local_t, Span>> {
  static std::string text() { return "std::chrono::local_time<" + type_list<Span>() + ">"; }
};

/// As programs write it, where that is known: compilers differ in the names of integers and of `std::string`.
template <class T>
std::string type_words() {
  return type_words_of<T>::text();
}
template <class T>
requires std::is_arithmetic_v<T> || std::is_same_v<T, std::string> || std::is_same_v<T, std::string_view>
struct type_words_of<T> {
  static std::string text() {
    if constexpr (std::is_same_v<T, std::string>) return "std::string";
    if constexpr (std::is_same_v<T, std::string_view>) return "std::string_view";
    if constexpr (std::is_same_v<T, short>) return "short";
    if constexpr (std::is_same_v<T, unsigned short>) return "unsigned short";
    if constexpr (std::is_same_v<T, unsigned>) return "unsigned";
    if constexpr (std::is_same_v<T, long>) return sizeof(long) == 8 ? "std::int64_t" : "long";
    if constexpr (std::is_same_v<T, unsigned long>) return sizeof(long) == 8 ? "std::uint64_t" : "unsigned long";
    if constexpr (std::is_same_v<T, long long>) return sizeof(long) == 8 ? "long long" : "std::int64_t";
    if constexpr (std::is_same_v<T, unsigned long long>) return sizeof(long) == 8 ? "unsigned long long" : "std::uint64_t";
    return type_in(compiler_words<T>());
  }
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail

#if TIDEPOOL_HEADER_ONLY
#include "impl/type_words.ipp"
#endif

#endif
