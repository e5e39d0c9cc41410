// SPDX-License-Identifier: BSL-1.0
// tidepool - the ring of the flight recorder.
#include <tidepool/detail/util/event_ring.hpp>

#include <algorithm>
#include <cstdint>
#include <thread>
#include <vector>

#include "support/catch.hpp"

namespace {

using tidepool::detail::event_ring;
using tidepool::detail::ring_event;

std::vector<ring_event> sorted(const event_ring& ring) {
  auto found = ring.read().events;
  std::sort(found.begin(), found.end(), [](const ring_event& a, const ring_event& b) { return a.serial < b.serial; });
  return found;
}
void write_some(event_ring& ring, std::uint64_t from, std::uint64_t count) {
  for (std::uint64_t i = from; i < from + count; ++i) ring.write(7, i, i * 2, i * 3);
}

}  // namespace

TEST_CASE("given a new ring, when it is read, then it is empty") {
  const event_ring ring(1 << 16);
  const auto found = ring.read();
  CHECK(found.events.empty());
  CHECK(found.lost == 0);
  CHECK(found.torn == 0);
}

TEST_CASE("given events of one thread, when the ring is read, then they are there whole and in order") {
  event_ring ring(1 << 16);
  write_some(ring, 1, 500);
  const auto found = sorted(ring);
  REQUIRE(found.size() == 500);
  for (std::uint64_t i = 0; i < 500; ++i) {
    CHECK(found[i].head == 7);
    CHECK(found[i].first == i + 1);
    CHECK(found[i].second == (i + 1) * 2);
    CHECK(found[i].third == (i + 1) * 3);
  }
  CHECK(ring.read().torn == 0);
}

TEST_CASE("given more events than fit, when the ring is read, then it has the latest and counts the rest") {
  event_ring ring(1 << 14);
  const std::uint64_t many = ring.capacity() * 5 + 17;
  write_some(ring, 1, many);
  const auto found = sorted(ring);
  REQUIRE(found.size() > ring.capacity() - event_ring::chunk_events);
  CHECK(found.size() <= ring.capacity());
  CHECK(found.back().first == many);
  CHECK(ring.read().lost_until == found.front().first - 1);
  for (std::size_t i = 1; i < found.size(); ++i) CHECK(found[i].first == found[i - 1].first + 1);
  CHECK(ring.read().lost == many - found.size());
}

TEST_CASE("given the memory asked for, when a ring is made, then it has no more of it, and some at the least") {
  CHECK(event_ring(1 << 20).capacity() * 32 <= 1 << 20);
  CHECK(event_ring(1 << 20).capacity() * 32 > (1 << 20) * 9 / 10);
  CHECK(event_ring(0).capacity() > 0);
}

TEST_CASE("given a thread that writes little, when another fills the ring, then what it wrote is still there") {
  event_ring ring(1 << 17);
  ring.write(9, 1, 2, 3);
  std::thread([&] { write_some(ring, 1, ring.capacity() * 3); }).join();
  const auto found = sorted(ring);
  CHECK(found.front().head == 9);
  CHECK(found.back().first == ring.capacity() * 3);
}

TEST_CASE("given more threads than stripes, when all write, then every event is there or counted") {
  event_ring ring(event_ring::least_bytes);
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) threads.emplace_back([&] { write_some(ring, 1, 200); });
  for (std::thread& t : threads) t.join();
  const auto found = ring.read();
  CHECK(found.events.size() + found.lost == 8 * 200);
}
