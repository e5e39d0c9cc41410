// SPDX-License-Identifier: BSL-1.0
// tidepool - the string without a destructor.
#include <tidepool/bounded_string.hpp>

#include <sstream>
#include <string>
#include <type_traits>

#include "support/catch.hpp"

namespace {

using tidepool::bounded_string;

static_assert(std::is_trivially_destructible_v<bounded_string<8>>, "GCC 12 destroys aggregate temporaries twice");
static_assert(std::is_trivially_copyable_v<bounded_string<8>>);
static_assert(bounded_string<8>("abc").view() == "abc", "it works at compile time");
static_assert(bounded_string<8>::capacity() == 8);

TEST_CASE("given texts of any origin, when they fit, then they are kept whole") {
  const std::string owned = "pool";
  CHECK(bounded_string<8>("pool").view() == "pool");
  CHECK(bounded_string<8>(owned).view() == "pool");
  CHECK(bounded_string<8>(std::string_view("pool-and-more", 4)).view() == "pool");
  CHECK(bounded_string<4>("pool").view() == "pool");
  CHECK_FALSE(bounded_string<4>("pool").truncated());
  CHECK(bounded_string<4>().empty());
  CHECK(bounded_string<4>(std::string_view()).empty());
  CHECK(std::string(bounded_string<8>("pool").c_str()) == "pool");
}

TEST_CASE("given a text that is too long, when it is kept, then it is cut, ends in a zero and says so") {
  bounded_string<4> text("pools");
  CHECK(text.view() == "pool");
  CHECK(text.truncated());
  CHECK(std::string(text.c_str()) == "pool");
  text = "sea";
  CHECK(text.view() == "sea");
  CHECK_FALSE(text.truncated());
  CHECK(std::string(text.c_str()) == "sea");
}

TEST_CASE("given two of them, when they are compared or printed, then it is by their text") {
  const bounded_string<8> a("one");
  const bounded_string<8> b("two");
  CHECK(a == "one");
  CHECK(a != "two");
  CHECK(a.view() != b.view());
  std::ostringstream out;
  out << a << '/' << b;
  CHECK(out.str() == "one/two");
}

TEST_CASE("given a text that was cut, when it is cleared, then it is empty and not cut") {
  bounded_string<4> text("longer");
  REQUIRE(text.truncated());
  text.clear();
  CHECK(text.empty());
  CHECK_FALSE(text.truncated());
  CHECK(std::string(text.c_str()).empty());
}

}  // namespace
