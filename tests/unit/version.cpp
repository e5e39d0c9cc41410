// SPDX-License-Identifier: BSL-1.0
// tidepool - the version as numbers, text and namespace, and what marks deprecated names.
#include <tidepool/version.hpp>

#include <string>
#include <string_view>
#include <type_traits>

#include "support/catch.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE {
struct of_this_version {};
}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE

namespace {

#define TIDEPOOL_TEST_TEXT_OF(name) #name
#define TIDEPOOL_TEST_TEXT(name) TIDEPOOL_TEST_TEXT_OF(name)

struct old {
  TIDEPOOL_DEPRECATED("use now()") static int before() { return 1; }
  static int now() { return 2; }
};

TEST_CASE("given the version's numbers, when text, number and namespace are read, then they agree") {
  const std::string major = std::to_string(TIDEPOOL_VERSION_MAJOR);
  const std::string minor = std::to_string(TIDEPOOL_VERSION_MINOR);
  CHECK(TIDEPOOL_VERSION_STRING == major + '.' + minor + '.' + std::to_string(TIDEPOOL_VERSION_PATCH));
  CHECK(TIDEPOOL_VERSION == TIDEPOOL_VERSION_MAJOR * 10000 + TIDEPOOL_VERSION_MINOR * 100 + TIDEPOOL_VERSION_PATCH);
#if defined(TIDEPOOL_BOOST_ASIO)
  CHECK(TIDEPOOL_TEST_TEXT(TIDEPOOL_VERSION_NAMESPACE) == 'v' + major + '_' + minor + "_boost");
#else
  CHECK(TIDEPOOL_TEST_TEXT(TIDEPOOL_VERSION_NAMESPACE) == 'v' + major + '_' + minor);
#endif
}

TEST_CASE("given the version's namespace, when a name is used without it, then it is the same type") {
  CHECK(std::is_same_v<tidepool::of_this_version, tidepool::TIDEPOOL_VERSION_NAMESPACE::of_this_version>);
}

TEST_CASE("given a deprecated name, when it is used, then it works and the compiler says what to use") {
#if defined(__GNUC__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
#endif
  CHECK(old::before() + 1 == old::now());
#if defined(__GNUC__)
#pragma GCC diagnostic pop
#endif
}

}  // namespace
