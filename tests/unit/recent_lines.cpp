// SPDX-License-Identifier: BSL-1.0
// tidepool - the last lines of a log.
#include <tidepool/recent_lines.hpp>

#include <thread>

#include "support/catch.hpp"

namespace {

using tidepool::log_level;
using tidepool::recent_lines;

std::string texts_of(const std::vector<recent_lines::line>& lines) {
  std::string out;
  for (const auto& one : lines) out += std::to_string(one.number) + one.text + " ";
  return out;
}

TEST_CASE("given a list of three lines, when more come, then the oldest go and numbers go on", "[field-U5]") {
  recent_lines last(3);
  CHECK(last.since().empty());
  CHECK(last.to_json() == "[]");
  last.add(log_level::info, "a");
  last.add(log_level::warning, "b");
  CHECK(texts_of(last.since()) == "1a 2b ");
  for (const char* text : {"c", "d", "e", "f", "g"}) last.add(log_level::error, text);
  CHECK(texts_of(last.since()) == "5e 6f 7g ");
  CHECK(texts_of(last.since(6)) == "7g ");
  CHECK(texts_of(last.since(2)) == "5e 6f 7g ");
  CHECK(last.since(7).empty());
  CHECK(last.since(700).empty());
}

TEST_CASE("given a line that is long, when it is kept, then it is cut, and its level and time are there", "[field-U5]") {
  recent_lines last(2, 4);
  const auto before = std::chrono::system_clock::now();
  last.add(log_level::warning, "123456");
  const auto all = last.since();
  REQUIRE(all.size() == 1);
  CHECK(all[0].text == "1234");
  CHECK(all[0].level == log_level::warning);
  CHECK(all[0].at >= before);
  CHECK(all[0].at <= std::chrono::system_clock::now());
  CHECK(last.to_json().find(R"([{"number":1,"at_ms":)") == 0);
  CHECK(last.to_json().find(R"(,"level":"warning","text":"1234"}])") != std::string::npos);
}

TEST_CASE("given sizes of zero, when lines come, then one byte of the last one is kept", "[field-U5]") {
  recent_lines last(0, 0);
  last.add(log_level::info, "ab");
  last.add(log_level::info, "cd");
  CHECK(texts_of(last.since()) == "2c ");
}

TEST_CASE("given a sink of the list, when the list is gone, then it still takes lines and passes them on", "[field-U5]") {
  std::string passed;
  tidepool::log_sink sink, copy;
  {
    const recent_lines last(2);
    sink = last.sink([&passed](log_level, const std::string& text) { passed += text; });
    copy = last.sink();
    copy(log_level::info, "1");
    sink(log_level::info, "2");
    CHECK(texts_of(last.since()) == "11 22 ");
  }
  sink(log_level::info, "3");
  copy(log_level::info, "4");
  CHECK(passed == "23");
}

TEST_CASE("given several threads, when they add and read, then every line has a number of its own", "[field-U5]") {
  recent_lines last(1000);
  const auto work = [&last] {
    for (int i = 0; i < 200; ++i) {
      last.add(log_level::info, "x");
      (void)last.since();
    }
  };
  std::thread one(work), two(work);
  one.join();
  two.join();
  const auto all = last.since();
  REQUIRE(all.size() == 400);
  for (std::size_t i = 0; i < all.size(); ++i) CHECK(all[i].number == i + 1);
}

}  // namespace
