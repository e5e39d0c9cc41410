// SPDX-License-Identifier: BSL-1.0
// tidepool - names of C++ types for error messages, without RTTI.
#ifndef TIDEPOOL_POSTGRES_DETAIL_TYPE_WORDS_HPP
#define TIDEPOOL_POSTGRES_DETAIL_TYPE_WORDS_HPP

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "../../version.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail {

/// The compiler's words: "... [with T = user]", "... [T = user]".
template <class T>
const char* compiler_words() {
  return __PRETTY_FUNCTION__;
}
/// The type's name in them, without what inline namespaces add.
inline std::string type_in(std::string_view words) {
  const auto from = words.find("T = ");
  if (from == std::string_view::npos) return "this type";
  words.remove_prefix(from + 4);
  words = words.substr(0, words.rfind(']'));
  std::string out(words);
  const std::string version = "v" + std::to_string(TIDEPOOL_VERSION_MAJOR) + "_" + std::to_string(TIDEPOOL_VERSION_MINOR) + "::";
  for (const std::string_view noise : {"__cxx11::", "{anonymous}::", "(anonymous namespace)::", version.c_str()}) {
    for (auto at = out.find(noise); at != std::string::npos; at = out.find(noise, at)) out.erase(at, noise.size());
  }
  return out;
}

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
    const char* name = nullptr;
    const auto is = [&name]<class U>(std::type_identity<U>, const char* written) {
      if (std::is_same_v<type, U>) name = written;
    };
    is(std::type_identity<std::chrono::nanoseconds>(), "std::chrono::nanoseconds");
    is(std::type_identity<std::chrono::microseconds>(), "std::chrono::microseconds");
    is(std::type_identity<std::chrono::milliseconds>(), "std::chrono::milliseconds");
    is(std::type_identity<std::chrono::seconds>(), "std::chrono::seconds");
    is(std::type_identity<std::chrono::minutes>(), "std::chrono::minutes");
    is(std::type_identity<std::chrono::hours>(), "std::chrono::hours");
    is(std::type_identity<std::chrono::days>(), "std::chrono::days");
    return name != nullptr ? name : type_in(compiler_words<type>());
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
    const char* name = nullptr;
    const auto is = [&name]<class U>(std::type_identity<U>, const char* written) {
      if (std::is_same_v<T, U>) name = written;
    };
    is(std::type_identity<std::string>(), "std::string");
    is(std::type_identity<std::string_view>(), "std::string_view");
    is(std::type_identity<short>(), "short");
    is(std::type_identity<unsigned short>(), "unsigned short");
    is(std::type_identity<unsigned>(), "unsigned");
    is(std::type_identity<long>(), sizeof(long) == 8 ? "std::int64_t" : "long");
    is(std::type_identity<unsigned long>(), sizeof(long) == 8 ? "std::uint64_t" : "unsigned long");
    is(std::type_identity<long long>(), sizeof(long) == 8 ? "long long" : "std::int64_t");
    is(std::type_identity<unsigned long long>(), sizeof(long) == 8 ? "unsigned long long" : "std::uint64_t");
    return name != nullptr ? name : type_in(compiler_words<T>());
  }
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail

#endif
