// SPDX-License-Identifier: BSL-1.0
// tidepool - the queue of deadlines that mostly come in order.
#include <tidepool/detail/util/deadline_queue.hpp>

#include <deque>
#include <random>
#include <set>
#include <vector>

#include "support/catch.hpp"

namespace {

using tidepool::duration;
using tidepool::detail::deadline_node;
using tidepool::detail::deadline_queue;
using tidepool::detail::never;
using tidepool::detail::tick;
using namespace std::chrono_literals;

struct queued {
  queued() { deadline.owner = this; }
  deadline_node<queued> deadline;
};

std::vector<tick> queue_ticks(const std::vector<duration>& since_start) {
  std::vector<tick> out;
  for (const duration one : since_start) out.emplace_back(one);
  return out;
}
std::vector<tick> drain(deadline_queue<queued>& queue) {
  std::vector<tick> out;
  while (auto* node = queue.top()) {
    out.push_back(queue.next());
    queue.erase(*node);
  }
  return out;
}

TEST_CASE("given an empty line of deadlines, when the next one is asked for, then that is never") {
  deadline_queue<queued> queue;
  CHECK(queue.empty());
  CHECK(queue.top() == nullptr);
  CHECK(queue.next() == never);
}

TEST_CASE("given a line of deadlines in any order, when taken, then the earliest comes first, with its owner") {
  deadline_queue<queued> queue;
  std::deque<queued> tasks(5);
  const auto at = GENERATE(queue_ticks({10ns, 20ns, 30ns, 40ns, 50ns}), queue_ticks({50ns, 40ns, 30ns, 20ns, 10ns}),
                           queue_ticks({30ns, 10ns, 50ns, 20ns, 40ns}));
  for (std::size_t i = 0; i < at.size(); ++i) queue.insert(tasks[i].deadline, at[i]);
  CHECK_FALSE(queue.empty());
  for (const tick expected : queue_ticks({10ns, 20ns, 30ns, 40ns, 50ns})) {
    REQUIRE(queue.next() == expected);
    queued* owner = queue.top()->owner;
    CHECK(owner->deadline.at == expected);
    queue.erase(owner->deadline);
    CHECK_FALSE(owner->deadline.linked);
  }
  CHECK(queue.empty());
}

TEST_CASE("given equal deadlines, when they are taken, then all of them come") {
  deadline_queue<queued> queue;
  std::deque<queued> tasks(4);
  for (queued& t : tasks) queue.insert(t.deadline, tick(7ns));
  CHECK(drain(queue) == std::vector<tick>(4, tick(7ns)));
}

TEST_CASE("given a deadline of never, when it is inserted, then it is not kept; erasing it does no harm") {
  deadline_queue<queued> queue;
  queued a, b;
  queue.insert(a.deadline, never);
  CHECK(queue.empty());
  CHECK_FALSE(a.deadline.linked);
  queue.insert(b.deadline, tick(1ns));
  queue.erase(a.deadline);
  CHECK(drain(queue) == queue_ticks({1ns}));
}

TEST_CASE("given deadlines mostly in order, when a multiset does the same, then the next one agrees") {
  const unsigned seed = GENERATE(1u, 2u, 3u, 4u, 5u);
  CAPTURE(seed);
  std::mt19937 random(seed);
  const auto below = [&random](std::size_t n) { return static_cast<std::size_t>(random()) % n; };
  deadline_queue<queued> queue;
  std::deque<queued> tasks(200);
  std::multiset<tick> model;
  tick now{};
  for (int step = 0; step < 50'000; ++step) {
    queued& t = tasks[below(tasks.size())];
    if (t.deadline.linked) {
      model.erase(model.find(t.deadline.at));
      queue.erase(t.deadline);
      REQUIRE_FALSE(t.deadline.linked);
    }
    now += duration(static_cast<duration::rep>(below(3)));
    if (below(3) != 0) {
      const tick at = below(5) == 0 ? now + duration(static_cast<duration::rep>(below(100))) : now + 100ns;
      queue.insert(t.deadline, at);
      model.insert(at);
    }
    REQUIRE(queue.next() == (model.empty() ? never : *model.begin()));
    REQUIRE(queue.empty() == model.empty());
  }
  CHECK(drain(queue) == std::vector<tick>(model.begin(), model.end()));
}

}  // namespace
