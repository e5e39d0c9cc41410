// SPDX-License-Identifier: BSL-1.0
// tidepool - the flight recorder where it is not in a hurry: new places, copies of the ring, and who gets them.
#ifndef TIDEPOOL_POLICY_IMPL_RECORDER_IPP
#define TIDEPOOL_POLICY_IMPL_RECORDER_IPP

#include <algorithm>
#include <cstring>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../../version.hpp"
#include "../recorder.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE {

bool detail::place_table::add(slot& to, std::uint64_t key, const source_location& where) noexcept {
  std::uint64_t free = 0;
  if (!to.key.compare_exchange_strong(free, key, std::memory_order_relaxed)) return free == key;
  const char* const name = where.file_name();
  const std::size_t length = std::strlen(name);
  const std::size_t kept = (std::min)(length, to.file.size() - 1);
  std::memcpy(to.file.data(), name + (length - kept), kept);
  to.line = where.line();
  to.there.store(true, std::memory_order_release);
  return true;
}

std::vector<recorded_place> detail::place_table::all() const {
  std::vector<recorded_place> out(1);
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    if (!slots_[i].there.load(std::memory_order_acquire)) continue;
    out.resize(i + 2);
    out[i + 1] = {slots_[i].file.data(), slots_[i].line};
  }
  return out;
}

recording recorder::copy(tick now) const {
  recording out;
  auto found = ring_.read();
  // Those of a moment later would be incomplete: what another thread did before them may not have been copied. So would those of a time
  // of which a part was overwritten.
  const auto until = static_cast<std::uint64_t>(now.time_since_epoch().count());
  std::erase_if(found.events, [&](const detail::ring_event& e) { return e.first > until; });
  found.lost += std::erase_if(found.events, [&](const detail::ring_event& e) { return e.first <= found.lost_until; });
  // Within one thread the serial number tells the order of events of the same time, a few at most on several threads.
  std::sort(found.events.begin(), found.events.end(), [](const detail::ring_event& a, const detail::ring_event& b) {
    return a.first != b.first ? a.first < b.first : a.serial < b.serial;
  });
  out.made_at = now.time_since_epoch();
  out.seed = seed_;
  out.lost = found.lost;
  out.torn = found.torn;
  out.latest_connect = duration(latest_connect_.load(std::memory_order_relaxed));
  out.places = places_.all();
  out.events.reserve(found.events.size());
  for (const detail::ring_event& e : found.events) {
    recorded_event& made = out.events.emplace_back();
    made.at = duration(static_cast<duration::rep>(e.first));
    made.kind = static_cast<recorded_kind>(e.head >> 24);
    made.code = static_cast<std::uint8_t>(e.head >> 16);
    made.place = static_cast<std::uint16_t>(e.head);
    made.subject = e.second;
    made.value = e.third;
    if (made.place >= out.places.size()) made.place = 0;  // its name is being written
  }
  return out;
}

bool recorder::is_due(recording_reason why, tick now, duration interval) noexcept {
  std::atomic<duration::rep>& latest = latest_[static_cast<std::size_t>(why)];
  duration::rep before = latest.load(std::memory_order_relaxed);
  const duration::rep at = std::max<duration::rep>(now.time_since_epoch().count(), 1);
  if (before != 0 && now < detail::later(tick(duration(before)), interval)) return false;
  return latest.compare_exchange_strong(before, at, std::memory_order_relaxed);
}

void recorder::sink(recording_sink to) {
  auto next = to ? std::make_shared<recording_sink>(std::move(to)) : nullptr;
  const std::lock_guard lock(sink_mutex_);
  sink_.swap(next);  // the old one is destroyed without the lock
  has_sink_.store(sink_ != nullptr, std::memory_order_relaxed);
}

void recorder::hand_out(const recording& made, std::string_view path) {
  std::shared_ptr<recording_sink> to;
  {
    const std::lock_guard lock(sink_mutex_);
    to = sink_;
  }
  if (to) return (*to)(made);
  if (path.empty()) return;
  // A disk must not fill up with them: the first of an incident and the latest are what matters.
  constexpr unsigned kept = 16;
  const unsigned n = files_.fetch_add(1, std::memory_order_relaxed);
  made.save(std::string(path) + "-" + std::to_string(n < kept ? n : kept / 2 + (n - kept) % (kept / 2)) + ".recording");
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE

#endif
