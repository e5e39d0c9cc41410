// SPDX-License-Identifier: BSL-1.0
// tidepool - recordings: their bytes, what they refuse, and the calls and figures that they come to.
#include <tidepool/recording.hpp>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "support/catch.hpp"

namespace {
namespace recordings {

using namespace std::chrono_literals;
using tidepool::duration;
using tidepool::errc;
using tidepool::recorded_call;
using tidepool::recorded_event;
using tidepool::recorded_kind;
using tidepool::recording;
using tidepool::recording_error;

recorded_event event(duration at, recorded_kind kind, std::uint64_t subject = 0, std::uint64_t value = 0, int code = 0) {
  recorded_event e;
  e.at = at;
  e.kind = kind;
  e.subject = subject;
  e.value = value;
  e.code = static_cast<std::uint8_t>(code);
  return e;
}
std::uint64_t ns(duration d) { return static_cast<std::uint64_t>(d.count()); }

/// Two connects, a caller that is served at once, one that waits, one that runs out of time.
recording small() {
  recording out;
  out.pool = "orders";
  tidepool::pool_config config;
  config.name = "orders";
  config.max_size = 7;
  out.configuration = config.to_string();
  out.reason = tidepool::recording_reason::leak;
  out.unix_time = 1'700'000'000'000'000'000;
  out.seed = 42;
  out.validates = true;
  out.lost = 3;
  out.torn = 1;
  out.latest_connect = 5ms;
  out.places.push_back({"src/orders.cpp", 12});
  using enum recorded_kind;
  out.events = {event(1s, connect_begun, 1),
                event(1s + 5ms, connected, 1, ns(5ms)),
                event(1s + 10ms, taken, 1, ns(10s)),
                event(1s + 11ms, asked, 1, ns(10s)),
                event(1s + 12ms, asked, 2, ns(5ms)),
                event(1s + 17ms, refused, 2, 0, static_cast<int>(errc::timeout)),
                event(1s + 20ms, returned, 1, ns(1s + 19ms)),
                event(1s + 20ms, granted, 1, 1),
                event(1s + 21ms, missed)};
  out.events[2].place = 1;
  out.made_at = 1s + 30ms;
  return out;
}

std::string refusal(const std::string& bytes) {
  try {
    (void)recording::from_bytes(bytes);
  } catch (const recording_error& e) {
    return e.what();
  }
  return "none";
}
/// The bytes with one changed, and the checksum that fits.
std::string changed(std::string bytes, std::size_t at, char to) {
  bytes[at] = to;
  bytes.resize(bytes.size() - 4);
  const std::uint32_t sum = tidepool::detail::crc_of(bytes);
  for (unsigned i = 0; i < 4; ++i) bytes += static_cast<char>(sum >> (8 * i) & 0xFFu);
  return bytes;
}

}  // namespace recordings

using namespace recordings;

}  // namespace

TEST_CASE("given a recording, when it is written and read, then it is the same") {
  const recording made = small();
  CHECK(recording::from_bytes(made.to_bytes()) == made);
  CHECK(made.config().max_size == 7);
  CHECK(recording::from_bytes(recording().to_bytes()) == recording());
}

TEST_CASE("given a recording, when it is saved and loaded, then it is the same, and no other file is left") {
  const auto folder = std::filesystem::temp_directory_path() / ("tidepool-recording-" + std::to_string(std::rand()));
  std::filesystem::create_directory(folder);
  const std::string path = (folder / "a.recording").string();
  small().save(path);
  CHECK(recording::load(path) == small());
  recording other = small();
  other.lost = 9;
  other.save(path);
  CHECK(recording::load(path).lost == 9);
  CHECK(std::distance(std::filesystem::directory_iterator(folder), {}) == 1);
  CHECK_THROWS_AS(other.save((folder / "no" / "such").string()), recording_error);
  CHECK_THROWS_WITH(recording::load((folder / "none").string()), Catch::Matchers::Contains("cannot be read"));
  std::filesystem::remove_all(folder);
}

TEST_CASE("given bytes that end too early, when they are read, then they are refused in words at every length") {
  const std::string bytes = small().to_bytes();
  for (std::size_t length = 0; length < bytes.size(); ++length) {
    const std::string said = refusal(bytes.substr(0, length));
    INFO(length << " bytes: " << said);
    CHECK(said.find("recording: ") == 0);
  }
  CHECK(refusal(bytes.substr(0, bytes.size() - 40)) == "recording: it ends after 7 of 9 events");
  CHECK(refusal("").find("do not begin as one does") != std::string::npos);
}

TEST_CASE("given bytes with any one bit changed, when they are read, then they are refused") {
  const std::string bytes = small().to_bytes();
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    std::string damaged = bytes;
    damaged[i] = static_cast<char>(damaged[i] ^ 4);
    INFO("byte " << i);
    CHECK(refusal(damaged) != "none");
  }
  CHECK(refusal(bytes + "x") == "recording: 1 bytes follow after its end");
}

TEST_CASE("given faults with a fitting checksum, when they are read, then each is named") {
  const std::string bytes = small().to_bytes();
  const std::size_t events = bytes.size() - 4 - 9 * 32;
  CHECK(refusal(changed(bytes, 8, 2)) == "recording: it has version 2 of the format, this reader knows version 1");
  CHECK(refusal(changed(bytes, 12, 9)) == "recording: its reason is 9");
  CHECK(refusal(changed(bytes, events + 8, 77)) == "recording: event 0 is of kind 77, which this version does not know");
  CHECK(refusal(changed(bytes, events + 8, 0)) == "recording: event 0 is of kind 0, which this version does not know");
  CHECK(refusal(changed(bytes, events + 5 * 32 + 9, 50)) == "recording: event 5 (refused) has the code 50");
  CHECK(refusal(changed(bytes, events + 2 * 32 + 10, 5)) == "recording: event 2 has place 5 of 2");
  CHECK(refusal(changed(bytes, events + 3 * 32 + 6, -1)).find("event 3 is") != std::string::npos);
  CHECK(refusal(changed(bytes, events - 7, 1)).find("it ends after 9 of ") != std::string::npos);
}

TEST_CASE("given events, when calls are put together, then each has its waits, its answer and its end") {
  const auto calls = small().calls();
  REQUIRE(calls.size() == 4);
  CHECK(calls[0].what == recorded_call::outcome::served);
  CHECK_FALSE(calls[0].queued);
  CHECK(calls[0].held() == 10ms);
  CHECK(calls[0].unanswered == 1ms);
  CHECK(calls[0].place == 1);
  CHECK(calls[1].queued);
  CHECK(calls[1].waited() == 9ms);
  CHECK(calls[1].connection == 1);
  CHECK_FALSE(calls[1].returned);
  CHECK(calls[1].held() == 10ms);
  CHECK(calls[2].what == recorded_call::outcome::refused);
  CHECK(calls[2].why == errc::timeout);
  CHECK(calls[3].what == recorded_call::outcome::missed);
}

TEST_CASE("given events, when figures are asked for, then they count what happened") {
  const auto f = small().figures();
  CHECK(f.calls == 4);
  CHECK(f.served == 2);
  CHECK(f.timeouts == 2);
  CHECK(f.wait_max == 9ms);
  CHECK(f.wait_p99 == 9ms);
  CHECK(f.most_leased == 1);
  CHECK(f.most_open == 1);
  CHECK(f.connects == 1);
  CHECK(f.text().find("4 calls: 2 served, 2 timeouts") == 0);
  CHECK(recording().figures() == tidepool::recorded_figures());
}

TEST_CASE("given a beginning that is lost, when calls are put together, then some are told as earlier") {
  recording cut = small();
  cut.events.erase(cut.events.begin(), cut.events.begin() + 5);
  const auto calls = cut.calls();
  REQUIRE(calls.size() == 4);
  CHECK(std::count_if(calls.begin(), calls.end(), [](const recorded_call& c) { return c.earlier; }) == 3);
  CHECK(cut.figures().calls == 1);
  CHECK(cut.figures().most_leased == 1);
  CHECK(cut.open_at_begin() == std::vector<tidepool::connection_id>{1});
  CHECK(small().open_at_begin().empty());
}

TEST_CASE("given a recording, when it is written as JSON lines, then there is a line for it and for each event") {
  const std::string text = small().to_json_lines();
  CHECK(std::count(text.begin(), text.end(), '\n') == 10);
  CHECK(text.find(R"("pool":"orders","reason":"leak")") != std::string::npos);
  CHECK(text.find(R"({"at":0.01,"event":"taken","connection":1,"timeout":10,"place":"src/orders.cpp:12"})") != std::string::npos);
  CHECK(text.find(R"({"at":0.017,"event":"refused","what":"timeout","caller":2})") != std::string::npos);
  CHECK(text.find("\"unix_time\":1700000000,") != std::string::npos);
}
