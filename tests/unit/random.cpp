// SPDX-License-Identifier: BSL-1.0
// tidepool - the generator for jitter.
#include <tidepool/detail/util/random.hpp>

#include <array>
#include <cstdint>

#include "support/catch.hpp"

namespace {

using tidepool::detail::splitmix;

TEST_CASE("given seed zero, when numbers are drawn, then they are SplitMix64's published ones") {
  splitmix random(0);
  const std::array<std::uint64_t, 5> published{0xe220a8397b1dcdafu, 0x6e789e6aa1b965f4u, 0x06c45d188009454fu, 0xf88bb8a8724c81ecu,
                                               0x1b39896a51a8749bu};
  for (const std::uint64_t n : published) CHECK(random() == n);
}

TEST_CASE("given one seed twice, when numbers are drawn, then they are the same; another seed's differ") {
  splitmix a(42), b(42), c(43);
  bool differs = false;
  for (int i = 0; i < 100; ++i) {
    const std::uint64_t n = a();
    CHECK(n == b());
    differs = differs || n != c();
  }
  CHECK(differs);
}

TEST_CASE("given many draws of the unit interval, when counted by tenths, then they are spread evenly") {
  splitmix random(2026);
  std::array<int, 10> tenths{};
  for (int i = 0; i < 100'000; ++i) {
    const double u = random.unit();
    REQUIRE(u >= 0.0);
    REQUIRE(u < 1.0);
    ++tenths[static_cast<std::size_t>(u * 10)];
  }
  // The seed is fixed, so this is no matter of luck; 500 is more than five standard deviations.
  for (const int n : tenths) CHECK(std::abs(n - 10'000) < 500);
}

}  // namespace
