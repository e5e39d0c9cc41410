// SPDX-License-Identifier: BSL-1.0
// tidepool - the heap of deadlines.
#include <tidepool/detail/util/deadline_heap.hpp>

#include <deque>
#include <random>
#include <set>
#include <vector>

#include "support/catch.hpp"

namespace {

using tidepool::duration;
using tidepool::detail::deadline_heap;
using tidepool::detail::deadline_node;
using tidepool::detail::never;
using tidepool::detail::tick;
using namespace std::chrono_literals;

struct heaped {
  heaped() { deadline.owner = this; }
  deadline_node<heaped> deadline;
};

std::vector<tick> ticks(const std::vector<duration>& since_start) {
  std::vector<tick> out;
  for (const duration one : since_start) out.emplace_back(one);
  return out;
}
std::vector<tick> drain(deadline_heap<heaped>& heap) {
  std::vector<tick> out;
  while (auto* node = heap.top()) {
    out.push_back(heap.next());
    heap.erase(*node);
  }
  return out;
}

TEST_CASE("given an empty heap, when it is asked for the next deadline, then that is never") {
  deadline_heap<heaped> heap;
  CHECK(heap.empty());
  CHECK(heap.top() == nullptr);
  CHECK(heap.next() == never);
}

TEST_CASE("given deadlines out of order, when they are taken, then the earliest comes first, with its owner") {
  deadline_heap<heaped> heap;
  std::deque<heaped> tasks(5);
  const auto at = ticks({30ns, 10ns, 50ns, 10ns, -20ns});
  for (std::size_t i = 0; i < at.size(); ++i) heap.insert(tasks[i].deadline, at[i]);
  CHECK(heap.top()->owner == &tasks[4]);
  CHECK(heap.next() == tick(-20ns));
  CHECK(drain(heap) == ticks({-20ns, 10ns, 10ns, 30ns, 50ns}));
  CHECK(heap.empty());
}

TEST_CASE("given a deadline of never, when it is inserted, then it is not kept, and erasing it does no harm") {
  deadline_heap<heaped> heap;
  heaped a, b;
  heap.insert(a.deadline, never);
  CHECK_FALSE(a.deadline.linked);
  CHECK(heap.empty());
  heap.erase(a.deadline);
  heap.insert(b.deadline, tick(1ns));
  heap.update(b.deadline, never);
  CHECK(heap.empty());
  CHECK(b.deadline.at == never);
}

TEST_CASE("given a node in the heap, when its deadline moves, then the order follows") {
  deadline_heap<heaped> heap;
  heaped a, b, c;
  heap.insert(a.deadline, tick(10ns));
  heap.insert(b.deadline, tick(20ns));
  heap.insert(c.deadline, tick(30ns));
  heap.update(c.deadline, tick(5ns));
  CHECK(heap.top()->owner == &c);
  heap.update(c.deadline, tick(15ns));
  CHECK(heap.top()->owner == &a);
  heap.update(a.deadline, tick(40ns));
  CHECK(drain(heap) == ticks({15ns, 20ns, 40ns}));
}

TEST_CASE("given random changes, when a multiset does the same, then the next deadline always agrees") {
  const unsigned seed = GENERATE(1u, 2u, 3u, 4u, 5u);
  CAPTURE(seed);
  std::mt19937 random(seed);
  const auto below = [&random](std::size_t n) { return static_cast<std::size_t>(random()) % n; };
  deadline_heap<heaped> heap;
  std::deque<heaped> tasks(200);
  std::multiset<tick> model;
  const auto forget = [&model](const heaped& t) {
    if (t.deadline.linked) model.erase(model.find(t.deadline.at));
  };
  for (int step = 0; step < 50'000; ++step) {
    heaped& t = tasks[below(tasks.size())];
    forget(t);
    if (below(3) == 0) {
      heap.erase(t.deadline);
      REQUIRE_FALSE(t.deadline.linked);
    } else {
      const tick at(duration(static_cast<duration::rep>(below(100))));
      heap.update(t.deadline, at);
      model.insert(at);
    }
    REQUIRE(heap.next() == (model.empty() ? never : *model.begin()));
  }
  CHECK(drain(heap) == std::vector<tick>(model.begin(), model.end()));
}

TEST_CASE("given a hundred thousand equal deadlines, when they are taken, then neither stack nor time runs out") {
  deadline_heap<heaped> heap;
  std::deque<heaped> tasks(100'000);
  for (heaped& t : tasks) heap.insert(t.deadline, tick(1s));
  std::size_t taken = 0;
  std::set<const heaped*> seen;
  while (auto* node = heap.top()) {
    seen.insert(node->owner);
    heap.erase(*node);
    ++taken;
  }
  CHECK(taken == tasks.size());
  CHECK(seen.size() == tasks.size());
}

}  // namespace
