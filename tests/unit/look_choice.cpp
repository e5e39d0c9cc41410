// SPDX-License-Identifier: BSL-1.0
// tidepool - when a driver looks for what comes next before it sleeps.
#include <tidepool/detail/driver/look_choice.hpp>

#include "../support/catch.hpp"

TEST_CASE("given looks in vain, when there are more chances, then ever fewer are taken, until one succeeds") {
  tidepool::detail::look_choice choice;
  const auto passed_over = [&choice] {
    int count = 0;
    while (!choice.take_chance()) ++count;
    return count;
  };
  for (const int expected : {0, 1, 2, 4, 8, 16, 32, 64, 64}) {
    CHECK(passed_over() == expected);
    choice.ended(false);
  }
  CHECK(passed_over() == 64);
  choice.ended(true);
  CHECK(passed_over() == 0);
}
