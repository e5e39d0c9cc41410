// SPDX-License-Identifier: BSL-1.0
// tidepool - what must not happen whatever a caller or the data does; see the list in tests/faults/README.md.
#include <sys/mman.h>

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "kit.hpp"

using namespace tidepool_tests;

TEST_CASE("given a parameter above 1 GB, when a SQLite statement takes it, then it is refused unread", "[sqlite-S10]") {
  constexpr std::size_t size = (std::size_t{1} << 30U) + 1;
  void* const reserved = ::mmap(nullptr, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  REQUIRE(reserved != MAP_FAILED);
  const std::string_view text(static_cast<const char*>(reserved), size);
  const std::span<const std::byte> bytes(static_cast<const std::byte*>(reserved), size);
  const auto refusal = [](const auto& parameter) {
    try {
      (void)lite::detail::request::of("select ?1, ?2", tidepool::no_limit, 1, parameter);
    } catch (const lite::error& said) {
      return std::string(said.what());
    }
    return std::string();
  };
  for (const auto& said : {refusal(text), refusal(std::optional(text)), refusal(bytes)}) {
    CHECK_THAT(said, has_text("parameter 2"));
    CHECK_THAT(said, has_text("larger than 1 GB"));
  }
  ::munmap(reserved, size);
}

TEST_CASE("given a lease that is abandoned, when its time is over, then its place serves others", "[sqlite-S14]") {
  const folder here;
  const auto end =
      abandon_a_lease<lite::pool, lite::error>([&here](const tidepool::pool_config&) { return lite::connector(here / "test.db"); },
                                               "with recursive n (i) as (select 1 union all select i + 1 from n) select count(*) from n");
  CHECK(end.served == 1);
  REQUIRE(end.holder.has_value());
  CHECK(end.holder->connection_lost());
}
