// SPDX-License-Identifier: BSL-1.0
// tidepool - durations, places, counts and leases in words.
#include <tidepool/detail/util/words.hpp>

#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/comma_locale.hpp"

namespace {

using namespace tidepool;
using namespace std::chrono_literals;
using detail::in_words;

TEST_CASE("given durations, when they are put into words, then they are short and carry into the next unit", "[field-U3]") {
  const tidepool_tests::comma_locale comma;  // where there is one
  struct {
    duration d;
    const char* words;
  } const table[] = {
      {0ns, "0 s"},
      {-5s, "0 s"},
      {1ns, "1 ns"},
      {999ns, "999 ns"},
      {1us, "1 us"},
      {1500ns, "1.5 us"},
      {99'960ns, "100 us"},
      {999'400ns, "999 us"},
      {999'500ns, "1 ms"},
      {1ms, "1 ms"},
      {250ms, "250 ms"},
      {12'340us, "12.3 ms"},
      {999'400us, "999 ms"},
      {999'500us, "1 s"},
      {1200ms, "1.2 s"},
      {9'840ms, "9.8 s"},
      {10'004ms, "10 s"},
      {99'949ms, "99.9 s"},
      {99'950ms, "100 s"},
      {119'400ms, "119 s"},
      {119'500ms, "2 min"},
      {150s, "2 min 30 s"},
      {2h - 31s, "119 min 29 s"},
      {2h - 30s, "2 h"},
      {5h + 10min, "5 h 10 min"},
      {48h - 31min, "47 h 29 min"},
      {48h - 30min, "2 d"},
      {76h, "3 d 4 h"},
      {duration::max(), "no limit"},
      {duration::max() - 1ns, "106752 d"},
  };
  for (const auto& row : table) {
    CAPTURE(row.d.count());
    CHECK(in_words(row.d) == row.words);
  }
}

TEST_CASE("given a place, when it is put into words, then the file has no folders, and an unknown one no words", "[field-U3]") {
  const auto here = source_location::current();
  CHECK(detail::place(here) == "words.cpp:" + std::to_string(here.line()));
  CHECK(detail::place(source_location{}).empty());
  CHECK(detail::without_folders("C:\\src\\orders.cpp") == "orders.cpp");
  CHECK(detail::without_folders("src/orders.cpp") == "orders.cpp");
  CHECK(detail::without_folders("orders.cpp") == "orders.cpp");
  CHECK(detail::without_folders("").empty());
}

TEST_CASE("given control characters in a text, when it becomes one line, then each run of them is one blank", "[field-U3]") {
  CHECK(detail::one_line("no route\n\tto host\x1b[31m\r\n") == "no route to host [31m");
  CHECK(detail::one_line(" \n").empty());
  CHECK(detail::one_line("Stra\xc3\x9f"
                         "e") ==
        "Stra\xc3\x9f"
        "e");
}

TEST_CASE("given counts, when they are put into words, then one is one", "[field-U3]") {
  CHECK(detail::counted(0, "lease", "leases") == "0 leases");
  CHECK(detail::counted(1, "lease", "leases") == "1 lease");
  CHECK(detail::counted(2, "lease", "leases") == "2 leases");
}

TEST_CASE("given leases, when they are listed, then each has its time, place, label, and its server's silence", "[field-U3]") {
  const auto here = source_location::current();
  const std::string from = " from words.cpp:" + std::to_string(here.line());
  std::vector<lease_report> leases(3);
  leases[0] = {7, here, 9800ms, "nightly\nreport", 0s};
  leases[1] = {12, here, 3s, "", 999ms};
  leases[2] = {13, source_location{}, 2s, "cart", 1s};
  CHECK(detail::listed(leases) ==
        "#7 for 9.8 s" + from + " (nightly report), #12 for 3 s" + from + ", #13 for 2 s (cart; waiting for the server for 1 s)");
  leases.resize(1);
  leases[0].label.clear();
  leases[0].waiting = 2s;
  CHECK(detail::listed(leases) == "#7 for 9.8 s" + from + " (waiting for the server for 2 s)");
  leases.clear();
  CHECK(detail::listed(leases).empty());
}

}  // namespace
