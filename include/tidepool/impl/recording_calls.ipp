// SPDX-License-Identifier: BSL-1.0
// tidepool - the calls and figures that the events of a recording come to.
#ifndef TIDEPOOL_IMPL_RECORDING_CALLS_IPP
#define TIDEPOOL_IMPL_RECORDING_CALLS_IPP

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <iterator>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "../recording.hpp"
#include "../version.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE {

namespace detail {

/// Puts calls together; events in order.
class call_finder {
 public:
  explicit call_finder(const recording& from) : from_(from) {}

  std::vector<recorded_call> find() {
    for (std::size_t i = 0; i < from_.events.size(); ++i) look_at(from_.events[i], i);
    for (recorded_call& c : calls_) {
      if (c.what == recorded_call::outcome::waiting) c.answered = c.ended = from_.made_at;
      if (c.what == recorded_call::outcome::served && !c.returned) c.ended = from_.made_at;
    }
    std::stable_sort(calls_.begin(), calls_.end(), [](const recorded_call& a, const recorded_call& b) { return a.asked < b.asked; });
    return std::move(calls_);
  }

 private:
  void look_at(const recorded_event& e, std::size_t index) {
    switch (e.kind) {
      case recorded_kind::taken: {
        recorded_call& c = add(e);
        c.answered = e.at;
        c.tried = e.code != 0;
        lease(e.subject, e.at);
        break;
      }
      case recorded_kind::missed: {
        recorded_call& c = add(e);
        c.what = recorded_call::outcome::missed;
        c.tried = true;
        c.answered = c.ended = e.at;
        break;
      }
      case recorded_kind::asked:
        add(e).what = recorded_call::outcome::waiting;
        calls_.back().queued = true;
        waiting_[e.subject] = calls_.size() - 1;
        break;
      case recorded_kind::granted:
        answer(e).what = recorded_call::outcome::served;
        calls_[answered_].connection = e.value;
        lease_of(e.value, answered_, e.at);
        break;
      case recorded_kind::refused: {
        recorded_call& c = answer(e);
        c.what = recorded_call::outcome::refused;
        c.why = static_cast<errc>(e.code);
        c.ended = e.at;
        break;
      }
      case recorded_kind::returned: give_back(e, index); break;
      default: break;
    }
  }

  recorded_call& add(const recorded_event& e) {
    recorded_call& c = calls_.emplace_back();
    c.asked = e.at;
    c.place = e.place;
    c.timeout = duration(static_cast<duration::rep>(e.value));
    if (e.kind == recorded_kind::taken) c.connection = e.subject;
    return c;
  }
  /// The call that this event answers; one that began before the recording is added.
  recorded_call& answer(const recorded_event& e) {
    const auto known = waiting_.find(e.subject);
    if (known == waiting_.end()) {
      recorded_call& c = calls_.emplace_back();
      c.asked = from_.begins_at();
      c.earlier = c.queued = true;
      c.place = e.place;
      c.timeout = no_limit;
      answered_ = calls_.size() - 1;
    } else {
      answered_ = known->second;
      waiting_.erase(known);
    }
    calls_[answered_].answered = e.at;
    return calls_[answered_];
  }
  void lease(connection_id connection, duration at) { lease_of(connection, calls_.size() - 1, at); }
  void lease_of(connection_id connection, std::size_t call, duration at) {
    const auto [known, is_new] = leased_.try_emplace(connection, call);
    if (is_new) return;
    calls_[known->second].ended = at;  // the event that ended the lease before this one is lost
    calls_[known->second].returned = true;
    calls_[known->second].returned_by = from_.events.size();
    known->second = call;
  }
  void give_back(const recorded_event& e, std::size_t index) {
    const auto known = leased_.find(e.subject);
    std::size_t call = calls_.size();
    if (known == leased_.end()) {
      recorded_call& c = calls_.emplace_back();
      c.asked = c.answered = from_.begins_at();
      c.earlier = true;
      c.timeout = no_limit;
      c.connection = e.subject;
    } else {
      call = known->second;
      leased_.erase(known);
    }
    recorded_call& c = calls_[call];
    c.returned = true;
    c.returned_by = index;
    c.ended = e.at;
    c.how = static_cast<lease_over>(e.code);
    if (e.value != 0 && e.value <= static_cast<std::uint64_t>(e.at.count()))
      c.unanswered = e.at - duration(static_cast<duration::rep>(e.value));
  }

  const recording& from_;
  std::vector<recorded_call> calls_;
  std::unordered_map<std::uint64_t, std::size_t> waiting_;
  std::unordered_map<connection_id, std::size_t> leased_;
  std::size_t answered_ = 0;
};

}  // namespace detail

std::vector<recorded_call> recording::calls() const { return detail::call_finder(*this).find(); }

std::vector<connection_id> recording::open_at_begin() const {
  std::set<connection_id> met;
  std::vector<connection_id> out;
  for (const recorded_event& e : events) {
    connection_id id = 0;
    switch (e.kind) {
      case recorded_kind::connect_begun:
      case recorded_kind::connected:
      case recorded_kind::connect_failed: met.insert(e.subject); continue;
      case recorded_kind::taken:
      case recorded_kind::returned:
      case recorded_kind::work_begun:
      case recorded_kind::work_ended:
      case recorded_kind::destroyed: id = e.subject; break;
      case recorded_kind::granted: id = e.value; break;
      default: continue;
    }
    if (met.insert(id).second) out.push_back(id);
  }
  std::sort(out.begin(), out.end());
  return out;
}

recorded_figures recording::figures() const {
  recorded_figures out;
  const std::vector<recorded_call> all = calls();
  std::vector<duration> waits;
  std::size_t leased = 0;
  for (const recorded_call& c : all) {
    if (c.earlier) {
      leased += c.what == recorded_call::outcome::served && !c.queued;
      continue;
    }
    ++out.calls;
    switch (c.what) {
      case recorded_call::outcome::served:
        ++out.served;
        waits.push_back(c.waited());
        break;
      case recorded_call::outcome::missed: ++out.timeouts; break;
      case recorded_call::outcome::refused:
        ++(c.why == errc::timeout ? out.timeouts : c.why == errc::cancelled ? out.cancelled : out.refused);
        break;
      case recorded_call::outcome::waiting: break;
    }
  }
  std::sort(waits.begin(), waits.end());
  const auto quantile = [&](std::size_t hundredths) {
    return waits.empty() ? duration::zero() : waits[(std::min)(waits.size() - 1, waits.size() * hundredths / 100)];
  };
  out.wait_p50 = quantile(50);
  out.wait_p99 = quantile(99);
  out.wait_max = waits.empty() ? duration::zero() : waits.back();

  std::size_t open = open_at_begin().size();
  out.most_leased = leased;
  out.most_open = open;
  for (const recorded_event& e : events) {
    switch (e.kind) {
      case recorded_kind::taken:
      case recorded_kind::granted: out.most_leased = (std::max)(out.most_leased, ++leased); break;
      case recorded_kind::returned: leased -= leased > 0; break;
      case recorded_kind::connected:
        ++out.connects;
        out.most_open = (std::max)(out.most_open, ++open);
        break;
      case recorded_kind::connect_failed: ++out.connect_failures; break;
      case recorded_kind::destroyed:
        ++out.closed;
        open -= open > 0;
        break;
      default: break;
    }
  }
  return out;
}

std::string recorded_figures::text() const {
  const auto ms = [](duration d) { return std::chrono::duration<double, std::milli>(d).count(); };
  char line[400];
  std::snprintf(line, sizeof line,
                "%llu calls: %llu served, %llu timeouts, %llu cancelled, %llu refused; wait p50 %.3f ms, p99 %.3f ms, longest %.3f ms; at "
                "most %zu leased, %zu open; %llu connects, %llu failed, %llu closed",
                static_cast<unsigned long long>(calls), static_cast<unsigned long long>(served), static_cast<unsigned long long>(timeouts),
                static_cast<unsigned long long>(cancelled), static_cast<unsigned long long>(refused), ms(wait_p50), ms(wait_p99),
                ms(wait_max), most_leased, most_open, static_cast<unsigned long long>(connects),
                static_cast<unsigned long long>(connect_failures), static_cast<unsigned long long>(closed));
  return line;
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE

#endif
