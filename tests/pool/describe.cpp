// SPDX-License-Identifier: BSL-1.0
// tidepool - describe(): the pool at one moment, for people; and what an empty lease says.
#include <sstream>

#include "rig.hpp"

namespace {

using namespace tidepool_tests;

using plain_rig = rig<fake_connection, testing::simulated_traits<fake_connection>>;

/// The lines of a description by their labels, the first by "pool".
class description {
 public:
  explicit description(const std::string& text) {
    std::istringstream in(text);
    for (std::string line; std::getline(in, line);) lines_.push_back(line);
  }
  std::size_t size() const { return lines_.size(); }
  std::string operator[](const std::string& label) const {
    for (const std::string& line : lines_) {
      if (line.rfind(label == "pool" ? "pool " : "  " + label + ": ", 0) == 0) return line.substr(label == "pool" ? 5 : label.size() + 4);
    }
    return "no line " + label;
  }

 private:
  std::vector<std::string> lines_;
};

TEST_CASE("given a pool that was not used, when it is described, then each line says that there is nothing", "[field-U5]") {
  pool_config config = calm(2, 4);
  config.name = "shop";
  plain_rig r(config);
  const description fresh(r.pool->describe());
  CHECK(fresh.size() == 10);
  CHECK(fresh["pool"] == "\"shop\": starting (opening)");
  CHECK(fresh["connections"] == "0 of at most 4; min_size 2, target 2");
  CHECK(fresh["waiting"] == "nobody");
  CHECK(fresh["held"] == "nothing");
  CHECK(fresh["breaker"] == "closed");
  CHECK(fresh["last connect error"] == "none");
  CHECK(fresh["acquires"] == "0 served, 0 of them after a wait; 0 failed");
  CHECK(fresh["waits"] == "p50 0 s, p99 0 s, longest 0 s");
  CHECK(fresh["connects"] == "0 made, 0 failed, p50 0 s, p99 0 s, longest 0 s; 0 closed");
  CHECK(fresh["leases"] == "p50 0 s, p99 0 s, longest 0 s of those timed; 0 reported as leaks");
}

TEST_CASE("given holders and waiters, when it is described, then it says who, for how long and from where", "[field-U5]") {
  pool_config config = calm(1, 2);
  config.leak_detection = true;
  config.leak_timeout = 5s;
  plain_rig r(config);
  auto first = r.take();
  first.label("nightly\nreport");
  r.sim.run_for(8s);
  auto second = r.take();
  std::vector<plain_rig::request_ptr> waiting;
  for (int i = 0; i < 5; ++i) {
    waiting.push_back(r.ask(60s));
    r.sim.run_for(1s);
  }
  auto failed = r.ask(0s);
  r.settle();
  REQUIRE(failed->failed_with(errc::timeout));
  const description busy(r.pool->describe());
  CHECK(busy["pool"] == "\"pool\": healthy (connections are there)");
  CHECK(busy["connections"] == "2 of at most 2: 2 leased; min_size 1, target 1");
  CHECK_THAT(busy["waiting"], has_text("5 callers, longest first: 5 s at rig.hpp:"));
  CHECK_THAT(busy["waiting"], has_text(", 4 s at rig.hpp:"));
  CHECK_THAT(busy["waiting"], has_text(" and 2 more"));
  CHECK_THAT(busy["held"], has_text("#1 for 13 s from rig.hpp:"));
  CHECK_THAT(busy["held"], has_text("(nightly report), #2 for 5 s from rig.hpp:"));
  CHECK(busy["acquires"] == "2 served, 2 of them after a wait; 1 failed: 1 timed out");
  CHECK_THAT(busy["leases"], has_text("; 2 reported as leaks, 2 of them still out"));
  CHECK_THAT(busy["waits"], has_text("p50 "));
  for (auto& one : waiting) one->signal.emit(asio::cancellation_type::terminal);
  r.settle();
}

TEST_CASE("given a server that is down, when it is described, then it says why, and when it looks next", "[field-U5]") {
  pool_config config = calm(1, 3);
  config.wait_when_refused = false;
  config.breaker_threshold = 2;
  config.breaker_open_time = 20s;
  plain_rig r(config);
  r.open();
  auto held = r.take();
  r.server.state(server_state::down);
  held.discard();
  r.sim.run_for(10s);
  const description down(r.pool->describe());
  CHECK_THAT(down["pool"], has_text("\"pool\": critical (no connection is alive"));
  CHECK_THAT(down["connections"], has_text("0 of at most 3; min_size 1"));
  CHECK_THAT(down["breaker"], has_text("open, "));
  CHECK_THAT(down["breaker"], has_text(" in a row in "));
  CHECK_THAT(down["breaker"], has_text(", next connect in "));
  CHECK_THAT(down["last connect error"], has_text(" ago: "));
  CHECK_THAT(down["connects"], has_text("1 made, "));
  CHECK_THAT(down["connects"], has_text("; 1 closed: 1 broken"));
}

TEST_CASE("given leases in the stash, when it is described, then they are idle, and an acquire takes them again", "[field-U5]") {
  plain_rig r(calm(2, 2));
  r.open();
  for (int i = 0; i < 200; ++i) (void)r.take();
  CHECK_THAT(description(r.pool->describe())["connections"], has_text("2 of at most 2: 2 idle"));
  CHECK_THAT(description(r.pool->describe())["acquires"], has_text("200 served, 0 of them after a wait"));
  CHECK(r.take());
  r.close_and_check();
  CHECK(description(r.pool->describe())["pool"] == "\"pool\": closed (nothing is left)");
}

TEST_CASE("given an empty lease, when it is used, then it throws in words that say how that comes", "[field-U8]") {
  plain_rig r(calm(1, 1));
  plain_rig::lease empty;
  const auto check = [](const tidepool::system_error& e, const char* what) {
    CHECK(e.code() == errc::empty_lease);
    CHECK_THAT(std::string(e.what()), has_text(what));
    CHECK_THAT(std::string(e.what()), has_text("released, discarded, detached or moved from, or try_acquire() found no connection idle"));
    CHECK_THAT(std::string(e.what()), has_text("the lease holds no connection"));
  };
  SECTION("one that never held anything") {}
  SECTION("released") {
    empty = r.take();
    empty.release();
  }
  SECTION("moved from") {
    empty = r.take();
    auto other = std::move(empty);
    CHECK(other->open());
  }
  SECTION("of a try_acquire() that found none") {
    auto held = r.take();
    empty = r.pool->try_acquire();
  }
  const auto caught = [&](const char* what, auto use) {
    try {
      use();
      FAIL("nothing was thrown");
    } catch (const tidepool::system_error& e) {
      check(e, what);
    }
  };
  caught("-> or * of an empty lease", [&] { (void)empty->open(); });
  caught("-> or * of an empty lease", [&] { (void)(*empty).open(); });
  caught("detach() of an empty lease", [&] { (void)empty.detach(); });
  CHECK_FALSE(empty);
  empty.release();
  empty.discard();
  CHECK(empty.id() == 0);
}

}  // namespace
