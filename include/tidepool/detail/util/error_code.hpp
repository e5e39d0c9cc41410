// SPDX-License-Identifier: BSL-1.0
// tidepool - the types of errors: those of the standard library; with Boost.Asio, Boost's. No other header names them; needs no Asio.
#ifndef TIDEPOOL_DETAIL_UTIL_ERROR_CODE_HPP
#define TIDEPOOL_DETAIL_UTIL_ERROR_CODE_HPP

#include <string_view>
#include <system_error>
#include <type_traits>

#include "../../version.hpp"
#include "visibility.hpp"

#if defined(TIDEPOOL_BOOST_ASIO)
#include <boost/system/error_category.hpp>
#include <boost/system/error_code.hpp>
#include <boost/system/error_condition.hpp>
#include <boost/system/system_error.hpp>
#endif

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE {
namespace detail {
#if defined(TIDEPOOL_BOOST_ASIO)
namespace errors = ::boost::system;
#else
namespace errors = ::std;
#endif
}  // namespace detail

/// `std::error_code`; with Boost.Asio `boost::system::error_code`, and so are the next three.
using error_code = detail::errors::error_code;
/// What a category makes of a code, to be compared with those of others.
using error_condition = detail::errors::error_condition;
/// The base of the categories of all codes.
using error_category = detail::errors::error_category;
/// The base of all exceptions that have a code. It derives from `std::runtime_error`; Boost's does not derive from `std::system_error`.
using system_error = detail::errors::system_error;
#if defined(TIDEPOOL_BOOST_ASIO)
/// The conditions of the C library, `std::errc` or `boost::system::errc::errc_t`. Codes of both kinds compare with `std::errc` as well.
using generic_errc = ::boost::system::errc::errc_t;
#else
/// The conditions of the C library, `std::errc` or `boost::system::errc::errc_t`. Codes of both kinds compare with `std::errc` as well.
using generic_errc = ::std::errc;
#endif

namespace detail {

using errors::generic_category;
using errors::system_category;

/// Category objects are compared by address, and every shared object may have one.
inline bool same_category(const error_category& one, const error_category& other) noexcept {
  return one == other || std::string_view(one.name()) == other.name();
}

// Boost's has no virtual destructor, so that a category can be used while the program's statics are destroyed.
#if defined(__GNUC__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wnon-virtual-dtor"
#endif
/// A category that equals its copies in other shared objects.
class TIDEPOOL_EXPORT shared_category : public error_category {
 public:
  bool equivalent(int value, const error_condition& condition) const noexcept override {
    const error_condition mine = default_error_condition(value);
    return mine.value() == condition.value() && same_category(mine.category(), condition.category());
  }
  bool equivalent(const error_code& code, int condition) const noexcept override {
    return code.value() == condition && same_category(code.category(), *this);
  }

 protected:
  ~shared_category() = default;
};
#if defined(__GNUC__)
#pragma GCC diagnostic pop
#endif

/// Whether there are `std::system_error` besides `system_error`.
#if defined(TIDEPOOL_BOOST_ASIO)
inline constexpr bool two_kinds_of_errors = true;
#else
inline constexpr bool two_kinds_of_errors = false;
#endif
/// While an exception is handled: its code where it is a `std::system_error`.
inline error_code code_of_std_exception() noexcept {
  try {
    throw;
  } catch (const std::system_error& e) {
    return e.code();
  } catch (...) {
    return {};
  }
}

}  // namespace detail
}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE

// TIDEPOOL_DETAIL_ERROR_ENUM makes an enumeration one of codes; to stand outside all namespaces, before the first comparison. In the
// enumeration's namespace, TIDEPOOL_DETAIL_COMPARE_STD(enumeration, category function) compares with codes of the other kind, by the name
// of the category.
#if defined(TIDEPOOL_BOOST_ASIO)
#define TIDEPOOL_DETAIL_ERROR_ENUM(type)                              \
  template <>                                                         \
  struct boost::system::is_error_code_enum<type> : std::true_type {}; \
  template <>                                                         \
  struct std::is_error_code_enum<type> : std::true_type {}
#define TIDEPOOL_DETAIL_COMPARE_STD(type, category_of_all)                                                                  \
  inline bool operator==(const std::error_code& code, type value) noexcept {                                                \
    return code.value() == static_cast<int>(value) && std::string_view(code.category().name()) == category_of_all().name(); \
  }
#else
#define TIDEPOOL_DETAIL_ERROR_ENUM(type) \
  template <>                            \
  struct std::is_error_code_enum<type> : std::true_type {}
#define TIDEPOOL_DETAIL_COMPARE_STD(type, category_of_all)
#endif

#endif
