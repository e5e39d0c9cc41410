// SPDX-License-Identifier: BSL-1.0
// tidepool - how an operation on a connection ends: what the core and the observer are told of it.
#ifndef TIDEPOOL_DETAIL_SHELL_OPERATION_END_HPP
#define TIDEPOOL_DETAIL_SHELL_OPERATION_END_HPP

#include <memory>
#include <string>
#include <utility>

#include "../../version.hpp"
#include "operations.hpp"
#include "pool_impl.hpp"
#include "reports.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail {

/// The event at the end of every operation: `what` tells the core, `report` is called afterwards without the lock. Neither is if the pool
/// has given the operation up; then only the entry is left to be freed.
template <class Connection, class Traits>
template <class Event, class Report>
void pool_impl<Connection, Traits>::end_op(entry& e, Event what, Report report) noexcept {
  pool_actions a;
  bool cared = false;
  bool free = false;
  std::shared_ptr<op_state<Traits>> ended;  // a strand must not outlive the context, as an entry may
  {
    const guard held(*this, a);
    ended.swap(e.op);
    cared = e.state != slot_state::gone;
    if (cared) {
      what(core_, e, precise_now<Traits>(), a);
      free = e.state == slot_state::gone;
    } else {
      free = core_.let_go(e);
    }
  }
  if (cared) report();
  if (free) free_entry(&e);
  perform(a);
}

template <class Connection, class Traits>
void pool_impl<Connection, Traits>::connect_succeeded(entry& e) noexcept {
  std::string stale;
  std::string server;
  if (names_servers || log_.is_on()) {
    server = server_of(*e.connection);
    e.keep_words(&entry_words::server, text_or_empty(server));
  }
  created_event created{e.id, {}, server};
  failure_row before;
  end_op(
      e,
      [&](core_type& core, entry& slot, tick now, core_actions& a) {
        last_error_.swap(stale);  // and freed without the lock
        created.connect_time = now - slot.born;
        slot.ready = true;
        if constexpr (has_memory_bytes<target_type>) slot.memory.bytes = slot.target()->memory_bytes();
        before = core.failures(now);
        core.connected(slot, now, a);
        if (core.failures_in_a_row() > 0) return;  // a connection has to serve first
        created.failures = before.length;
        created.failed_for = before.lasted;
      },
      [&] { tell([&] { return created; }); });
}

template <class Connection, class Traits>
void pool_impl<Connection, Traits>::op_failed(entry& e, slot_action what, failure_kind kind, std::string error) noexcept {
  switch (what) {
    case slot_action::validate: {
      lost_connection lost(*this, e, text_or_empty(error));
      const connection_id id = e.id;
      const std::string server = text_or_empty(e.server());
      const std::size_t alike = tells<health_failed_event>() ? unhealthy_.count(precise_now<Traits>()) : 1;
      return end_op(
          e,
          [&](core_type& core, entry& slot, tick now, core_actions& a) {
            lost.note_answer_locked(slot);
            core.validated(slot, false, now, a);
            lost.record_locked(slot, now);
          },
          [&] {
            tell([&] { return health_failed_event{id, error, server, alike}; });
            lost.tell();
          });
    }
    case slot_action::reset: {
      lost_connection lost(*this, e, text_or_empty(error));
      return end_op(
          e,
          [&](core_type& core, entry& slot, tick now, core_actions& a) {
            lost.note_answer_locked(slot);
            core.reset_done(slot, false, now, a);
            lost.record_locked(slot, now);
          },
          [&] { lost.tell(); });
    }
    case slot_action::close:  // it is closed all the same
      return end_op(
          e, [](core_type& core, entry& slot, tick now, core_actions& a) { core.closed(slot, now, a); }, [] {});
    default: return connect_failed(e, kind, error);
  }
}

template <class Connection, class Traits>
void pool_impl<Connection, Traits>::connect_failed(entry& e, failure_kind kind, const std::string& error) noexcept {
  std::string kept = text_or_empty(std::string_view(error).substr(0, most_error_text));
  failure_row row;
  end_op(
      e,
      [&](core_type& core, entry& slot, tick now, core_actions& a) {
        last_error_.swap(kept);
        last_error_at_ = now;
        core.connect_failed(slot, kind, now, a);
        row = core.failures(now);
      },
      [&] {
        if constexpr (records) recorder_.connect_failed(e.id, kind, precise_now<Traits>());
        tell([&] { return event_of(error, row, kind); });
      });
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail

#endif
