// SPDX-License-Identifier: BSL-1.0
// tidepool - what a recording says of callers and of the server, in the form in which replay.hpp plays it.
#ifndef TIDEPOOL_TESTING_DETAIL_REPLAY_SCRIPT_HPP
#define TIDEPOOL_TESTING_DETAIL_REPLAY_SCRIPT_HPP

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <unordered_map>
#include <utility>
#include <vector>

#include "../../connection.hpp"
#include "../../error.hpp"
#include "../../recording.hpp"
#include "../../states.hpp"
#include "../../time.hpp"
#include "../../version.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::testing::detail {

/// What one kind of thing that a server did to connections took each time, and how it ended.
class recorded_work {
 public:
  struct attempt {
    duration at{};
    duration took{};
    std::uint8_t how = 0;  ///< 0: well; `recorded_event::gave_up`: it hangs
    bool used = false;
  };

  /// Returns its index, for `end()`, until they are sorted.
  std::size_t add(const attempt& one) {
    all_.push_back(one);
    return all_.size() - 1;
  }
  void end(std::size_t index, duration at, std::uint8_t how) noexcept {
    all_[index].took = at - all_[index].at;
    all_[index].how = how;
  }
  bool empty() const noexcept { return all_.empty(); }
  void sort() {
    std::stable_sort(all_.begin(), all_.end(), [](const attempt& a, const attempt& b) { return a.at < b.at; });
  }
  /// The one that began at `now`, each of several once; else the one nearest in time: what the server was like then.
  attempt at(duration now) noexcept {
    if (all_.empty()) return {};
    auto next = std::lower_bound(all_.begin(), all_.end(), now, [](const attempt& a, duration t) { return a.at < t; });
    for (auto same = next; same != all_.end() && same->at == now; ++same) {
      if (!std::exchange(same->used, true)) return *same;
    }
    if (next == all_.end()) return all_.back();
    if (next != all_.begin() && now - (next - 1)->at < next->at - now) --next;
    return *next;
  }

 private:
  std::vector<attempt> all_;
};

/// A caller of the recording, as it is to be played.
struct replayed_call {
  duration at{};
  duration timeout{};
  bool tried = false;
  duration cancel_after = no_limit;
  duration hold{};
  lease_end end = lease_end::clean;
  lease_over how = lease_over::released;
  bool dies = false;  ///< the connection, after the lease
  duration unanswered = no_limit;
};

/// What a recording says of callers and of the server.
struct replay_script {
  explicit replay_script(const recording& from, duration acquire_timeout) {
    calls_ = from.calls();
    tells_answers = std::any_of(calls_.begin(), calls_.end(), [](const recorded_call& c) { return c.unanswered != no_limit; });
    read_work(from);
    read_calls(from, acquire_timeout);
    default_connect = from.latest_connect > duration::zero() ? from.latest_connect : duration(std::chrono::milliseconds(10));
  }

  recorded_work connects;
  recorded_work validations;
  recorded_work resets;
  recorded_work closes;
  std::vector<replayed_call> calls;          ///< in order, those that began in the recording
  std::vector<std::uint16_t> places;         ///< of these
  std::vector<replayed_call> leased_before;  ///< leases that were out when it begins
  std::vector<replayed_call> queued_before;  ///< callers that waited then
  std::vector<recorded_event> verbs;
  bool tells_answers = false;
  bool warm = false;  ///< connections are there at once
  duration default_connect{};

 private:
  /// In the order in which they began: several that begin at once are begun in that order again.
  void read_work(const recording& from) {
    struct begun {
      recorded_work* kind = nullptr;
      std::size_t index = 0;
    };
    std::unordered_map<connection_id, begun> under_way;
    const auto begin = [&](recorded_work& kind, const recorded_event& e) {
      under_way[e.subject] = {&kind, kind.add({e.at, {}, recorded_event::gave_up})};
    };
    const auto end = [&](const recorded_event& e, std::uint8_t how) {
      const auto found = under_way.find(e.subject);
      if (found == under_way.end()) return false;  // it began before the recording, or was given up before
      found->second.kind->end(found->second.index, e.at, how);
      under_way.erase(found);
      return true;
    };
    for (const recorded_event& e : from.events) {
      switch (e.kind) {
        case recorded_kind::connect_begun: begin(connects, e); break;
        case recorded_kind::connected:
          if (const auto took = duration(static_cast<duration::rep>(e.value)); !end(e, 0)) connects.add({from.begins_at(), took, 0});
          break;
        case recorded_kind::connect_failed:
          end(e, e.code == recorded_event::gave_up ? e.code : static_cast<std::uint8_t>(e.code + 1));
          break;
        case recorded_kind::work_begun: begin(work_of(static_cast<connection_work>(e.code)), e); break;
        case recorded_kind::work_ended:
          end(e, e.code == static_cast<std::uint8_t>(work_end::gave_up) ? recorded_event::gave_up : e.code);
          break;
        case recorded_kind::verb: verbs.push_back(e); break;
        default: break;
      }
    }
    for (recorded_work* kind : {&connects, &validations, &resets, &closes}) kind->sort();
  }
  recorded_work& work_of(connection_work what) noexcept {
    if (what == connection_work::validate) return validations;
    return what == connection_work::reset ? resets : closes;
  }

  /// What became of a connection after a lease, from the next thing that is known of it.
  static void read_end(const recording& from, const std::vector<std::size_t>& next, const recorded_call& c, replayed_call& out) {
    if (!c.returned || c.returned_by >= from.events.size() || c.how != lease_over::released) return;
    bool closing = false;
    for (std::size_t i = next[c.returned_by]; i < from.events.size(); i = next[i]) {
      const recorded_event& e = from.events[i];
      // A real pool takes a moment between the return and what follows from it.
      const bool at_once = e.at - c.ended <= std::chrono::milliseconds(1);
      if (e.kind == recorded_kind::work_begun && at_once && static_cast<connection_work>(e.code) == connection_work::reset) {
        out.end = lease_end::needs_reset;
        return;
      }
      if (e.kind == recorded_kind::work_begun) closing = at_once && static_cast<connection_work>(e.code) == connection_work::close;
      if (e.kind == recorded_kind::taken || e.kind == recorded_kind::granted || e.kind == recorded_kind::returned) return;
      if (e.kind != recorded_kind::destroyed) continue;
      switch (static_cast<close_reason>(e.code)) {
        case close_reason::broken:
          if (closing) {
            out.end = lease_end::unfinished;
          } else if (at_once) {
            out.end = lease_end::broken;
          } else {
            out.dies = true;
          }
          return;
        case close_reason::retired: out.end = lease_end::retired; return;
        case close_reason::outdated:
          if (closing) out.end = lease_end::outdated;
          return;
        default: return;
      }
    }
  }
  /// For each event the next one of its connection.
  static std::vector<std::size_t> next_of_connection(const recording& from) {
    std::vector<std::size_t> out(from.events.size(), from.events.size());
    std::unordered_map<connection_id, std::size_t> latest;
    for (std::size_t i = 0; i < from.events.size(); ++i) {
      const recorded_event& e = from.events[i];
      connection_id id = e.subject;
      switch (e.kind) {
        case recorded_kind::granted: id = e.value; break;
        case recorded_kind::taken:
        case recorded_kind::returned:
        case recorded_kind::work_begun:
        case recorded_kind::work_ended:
        case recorded_kind::destroyed: break;
        default: continue;
      }
      const auto [known, is_new] = latest.try_emplace(id, i);
      if (!is_new) out[std::exchange(known->second, i)] = i;
    }
    return out;
  }
  void read_calls(const recording& from, duration acquire_timeout) {
    const auto next = next_of_connection(from);
    const duration configured = from.config().acquire_timeout;
    std::unordered_map<std::uint16_t, std::vector<duration>> holds;
    std::vector<duration> all_holds;
    for (const recorded_call& c : calls_) {
      if (c.what != recorded_call::outcome::served || !c.returned || c.earlier) continue;
      holds[c.place].push_back(c.held());
      all_holds.push_back(c.held());
    }
    for (std::size_t i = 0; i < calls_.size(); ++i) {
      const recorded_call& c = calls_[i];
      replayed_call made;
      made.at = c.asked;
      made.timeout = c.timeout == configured ? acquire_timeout : c.timeout;
      made.tried = c.tried;
      made.how = c.how;
      made.unanswered = c.unanswered;
      if (c.what == recorded_call::outcome::refused && c.why == errc::cancelled) made.cancel_after = c.waited();
      if (c.what == recorded_call::outcome::served) {
        made.hold = c.returned ? c.held() : duration(no_limit);
      } else if (!all_holds.empty()) {
        // It is not known for how long it would have held one: as another caller did, of the same place if there is one.
        const auto alike = holds.find(c.place);
        const auto& known = alike == holds.end() ? all_holds : alike->second;
        made.hold = known[(i * 2654435761u) % known.size()];
      }
      read_end(from, next, c, made);
      if (!c.earlier) {
        calls.push_back(made);
        places.push_back(c.place);
      } else if (c.queued) {
        queued_before.push_back(made);
      } else {
        leased_before.push_back(made);
      }
    }
  }

  std::vector<recorded_call> calls_;
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::testing::detail

#endif
