// SPDX-License-Identifier: BSL-1.0
// tidepool - the callers that wait: their order, their deadlines, and how they leave.
#include <tidepool/detail/core/wait_queue.hpp>

#include "support/catch.hpp"

namespace {
namespace queueing {

using namespace std::chrono_literals;
using tidepool::detail::core_waiter;
using tidepool::detail::never;
using tidepool::detail::tick;
using tidepool::detail::wait_queue;

tick at(tidepool::duration since_start) { return tick(since_start); }

void arrive(wait_queue& queue, core_waiter& w, tick deadline) {
  w.ticket = queue.next_ticket();
  queue.add(w, deadline);
}

TEST_CASE("given callers that wait, when one leaves, then the others keep their order and its deadline is gone") {
  wait_queue queue;
  core_waiter one, two, three;
  arrive(queue, one, at(9s));
  arrive(queue, two, at(3s));
  arrive(queue, three, at(6s));
  CHECK(queue.size() == 3);
  CHECK(queue.next_deadline() == at(3s));

  queue.remove(two);
  two.at = core_waiter::stage::done;
  CHECK(queue.size() == 2);
  CHECK(queue.next_deadline() == at(6s));
  CHECK(queue.front() == &one);
  queue.remove(one);
  CHECK(queue.front() == &three);
  queue.remove(three);
  CHECK(queue.empty());
  CHECK(queue.next_deadline() == never);
}
TEST_CASE("given a served caller, when its connection proves dead, then it has its place and its deadline again") {
  wait_queue queue;
  core_waiter one, two, three;
  arrive(queue, one, at(9s));
  arrive(queue, two, at(3s));
  arrive(queue, three, at(6s));
  for (core_waiter* back : {&two, &one}) {
    queue.remove(*back);
    back->at = core_waiter::stage::done;
  }
  queue.put_in_order(two);
  CHECK(queue.front() == &two);
  CHECK(queue.next_deadline() == at(3s));
  queue.put_in_order(one);
  CHECK(queue.front() == &one);
  queue.remove(one);
  CHECK(queue.front() == &two);
  queue.remove(two);
  CHECK(queue.front() == &three);
}
TEST_CASE("given a caller that does not wait, when it is removed, then nothing happens") {
  wait_queue queue;
  core_waiter waits, fresh;
  arrive(queue, waits, at(1s));
  queue.remove(fresh);
  CHECK(queue.size() == 1);
}
TEST_CASE("given deadlines, when time passes, then those whose time is up are found, the earliest first") {
  wait_queue queue;
  core_waiter one, two;
  arrive(queue, one, at(5s));
  arrive(queue, two, at(2s));
  CHECK(queue.expired(at(1s)) == nullptr);
  CHECK(queue.expired(at(5s)) == &two);
  queue.remove(two);
  CHECK(queue.expired(at(5s)) == &one);
}
TEST_CASE("given one that opens the pool, when its time is up, then it may stay in its queue without a deadline") {
  wait_queue queue;
  core_waiter opener, closer;
  opener.in = core_waiter::queue::open;
  closer.in = core_waiter::queue::close;
  queue.add_opener(opener, at(2s));
  queue.add_closer(closer);
  CHECK(queue.empty());
  CHECK(queue.expired(at(2s)) == &opener);
  queue.forget_deadline(opener);
  CHECK(queue.next_deadline() == never);
  CHECK(queue.opener() == &opener);
  CHECK(queue.opener_after(opener) == nullptr);
  CHECK(queue.closer() == &closer);
  queue.remove(opener);
  queue.remove(closer);
  CHECK(queue.opener() == nullptr);
  CHECK(queue.closer() == nullptr);
}
TEST_CASE("given tickets, when they are drawn, then they rise, and one caller in eight is timed") {
  wait_queue queue;
  std::uint64_t last = 0;
  int timed = 0;
  for (int i = 0; i < 80; ++i) {
    timed += queue.samples_next() ? 1 : 0;
    const auto ticket = queue.next_ticket();
    CHECK(ticket > last);
    last = ticket;
  }
  CHECK(timed == 10);
}

}  // namespace queueing
}  // namespace
