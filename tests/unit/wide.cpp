// SPDX-License-Identifier: BSL-1.0
// tidepool - sums of 128 bits, against the compiler's own where it has them.
#include <tidepool/detail/util/wide.hpp>

#include <random>

#include "support/catch.hpp"

namespace {

using tidepool::detail::wide;

#if defined(__SIZEOF_INT128__)
__extension__ typedef unsigned __int128 reference;

TEST_CASE("given numbers of every size, when they are used in sums and products, then all is exact", "[field-R10]") {
  std::mt19937_64 random(17);
  const auto number = [&random] { return std::uint64_t{random()} >> (random() % 64); };
  wide sum;
  reference expected = 0;
  for (int i = 0; i < 20'000; ++i) {
    const std::uint64_t a = number();
    const std::uint64_t b = number();
    if (i % 3 == 2) {
      sum -= wide::product(a, b);
      expected -= reference(a) * b;
    } else {
      sum += wide::product(a, b);
      expected += reference(a) * b;
    }
    REQUIRE((sum - wide::product(static_cast<std::uint64_t>(expected >> 64), ~std::uint64_t{0}) -
             wide(static_cast<std::uint64_t>(expected >> 64)))
                .capped() == static_cast<std::uint64_t>(expected));
    REQUIRE(sum.number() == Approx(static_cast<double>(expected)));
    const std::uint64_t divisor = static_cast<std::uint64_t>(expected >> 64) + 1 + number() / 2;
    if (divisor > static_cast<std::uint64_t>(expected >> 64)) REQUIRE(sum.over(divisor) == static_cast<std::uint64_t>(expected / divisor));
  }
}
#endif

TEST_CASE("given a sum of more than 64 bits, when it is capped, then it is the largest number of 64", "[field-R10]") {
  CHECK(wide(7).capped() == 7);
  CHECK((wide(~std::uint64_t{0}) + wide(1)).capped() == ~std::uint64_t{0});
  CHECK((wide(5) - wide(6)).capped() == ~std::uint64_t{0});
}

}  // namespace
