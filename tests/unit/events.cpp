// SPDX-License-Identifier: BSL-1.0
// tidepool - the words for states and reasons.
#include <tidepool/events.hpp>

#include <set>
#include <string>

#include "support/catch.hpp"

namespace {

using namespace tidepool;

TEST_CASE("given every state of a pool, when it is put in words, then each has its own") {
  CHECK(std::string(to_string(pool_state::starting)) == "starting");
  CHECK(std::string(to_string(pool_state::healthy)) == "healthy");
  CHECK(std::string(to_string(pool_state::degraded)) == "degraded");
  CHECK(std::string(to_string(pool_state::critical)) == "critical");
  CHECK(std::string(to_string(pool_state::suspended)) == "suspended");
  CHECK(std::string(to_string(pool_state::closing)) == "closing");
  CHECK(std::string(to_string(pool_state::closed)) == "closed");
}

TEST_CASE("given every reason to close a connection, when it is put in words, then each has its own") {
  CHECK(std::string(to_string(close_reason::idle)) == "idle");
  CHECK(std::string(to_string(close_reason::broken)) == "broken");
  CHECK(std::string(to_string(close_reason::reset_failed)) == "reset_failed");
  CHECK(std::string(to_string(close_reason::detached)) == "detached");
  CHECK(std::string(to_string(close_reason::shutdown)) == "shutdown");
  std::set<std::string> words;
  for (std::size_t i = 0; i < close_reasons; ++i) words.insert(to_string(static_cast<close_reason>(i)));
  CHECK(words.size() == close_reasons);
  CHECK(words.count("?") == 0);
  CHECK(std::string(to_string(close_reason::count_)) == "?");
}

}  // namespace
