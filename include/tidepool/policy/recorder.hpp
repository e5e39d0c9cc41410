// SPDX-License-Identifier: BSL-1.0
// tidepool - the flight recorder: the last events of a pool in a ring of fixed size, handed out when something went wrong.
//
//   struct traits : tidepool::default_traits<connection> {
//     using recorder_policy = tidepool::recorder;
//   };
//
// Opt-in, by including this header and naming it in the Traits. `recording.hpp` has what it hands out, `testing/replay.hpp` replays that.
#ifndef TIDEPOOL_POLICY_RECORDER_HPP
#define TIDEPOOL_POLICY_RECORDER_HPP

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string_view>
#include <vector>

#include "../config.hpp"
#include "../detail/util/event_ring.hpp"
#include "../detail/util/linkage.hpp"
#include "../error.hpp"
#include "../recording.hpp"
#include "../source_location.hpp"
#include "../time.hpp"
#include "../version.hpp"
#include "no_recorder.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE {

/// Takes a recording: writes it somewhere, sends it. Called on the pool's executor, if that has several threads perhaps by two at once;
/// what it throws is ignored.
using recording_sink = std::function<void(const recording&)>;

namespace detail {

/// The places of a program that acquire, each with a small number. Fixed in size: those above are number 0, "not known".
class place_table {
 public:
  static constexpr std::size_t most = 255;

  /// Any thread, without a lock. A new place copies the end of its file's name.
  std::uint16_t number_of(const source_location& where) noexcept {
    const std::uint64_t key = key_of(where);
    std::size_t i = static_cast<std::size_t>((key * 0x9E3779B97F4A7C15u) >> 56);
    for (std::size_t tries = 0; tries <= most; ++tries, i = (i + 1) & most) {
      const std::uint64_t found = slots_[i].key.load(std::memory_order_relaxed);
      if (found == key) return static_cast<std::uint16_t>(i + 1);
      if (found == 0 && add(slots_[i], key, where)) return static_cast<std::uint16_t>(i + 1);
    }
    return 0;
  }
  /// By number; those never seen are empty.
  TIDEPOOL_DECL std::vector<recorded_place> all() const;

 private:
  struct slot {
    std::atomic<std::uint64_t> key{0};
    std::atomic<bool> there{false};  // the rest is written
    std::uint32_t line = 0;
    std::array<char, 88> file{};
  };

  /// Names of files are constants of the program: the same place has the same pointer.
  static std::uint64_t key_of(const source_location& where) noexcept {
    return (std::uint64_t{reinterpret_cast<std::uintptr_t>(where.file_name())} ^ std::uint64_t{where.line()} << 48) | 1u;
  }
  /// Whether the slot has this key now.
  TIDEPOOL_DECL bool add(slot& to, std::uint64_t key, const source_location& where) noexcept;

  std::array<slot, most + 1> slots_;
};

}  // namespace detail

/// Keeps the last events of a pool: who asked when and for how long, what was handed out and given back, connects, validations, resets and
/// ends of connections, leaks, the breaker, changes of state. Their ring has `pool_config::recorder_memory` bytes, 32 an event, all of it
/// allocated with the pool. Writing an event takes no lock and waits for nobody; a copy is made while others write, and leaves out what is
/// being written at that moment.
///
/// When an acquire runs into its timeout, a leak is detected or the breaker opens, the pool copies the ring and hands the recording to the
/// sink of `basic_pool::record_to()`, or writes it to a file beside `pool_config::recorder_path`; at most one for each of these reasons in
/// `pool_config::recorder_interval`, on the pool's executor. A class that derives from it may do more; its constructor takes the
/// configuration.
class recorder {
 public:
  static constexpr bool enabled = true;
  using recorder_base = recorder;  ///< what the Traits are asked for

  explicit recorder(const pool_config& config) : ring_(config.recorder_memory) {}
  recorder(const recorder&) = delete;
  recorder& operator=(const recorder&) = delete;

  // --- what the pool tells it, on any thread, some of it under its lock -------------------------------------------------

  /// Each writes one event of the kind that its name says.
  ///@{
  void taken(connection_id connection, duration timeout, bool tried, const source_location& where, tick at) noexcept {
    write(recorded_kind::taken, tried, places_.number_of(where), at, connection, number(timeout));
  }
  void missed(const source_location& where, tick at) noexcept { write(recorded_kind::missed, 0, places_.number_of(where), at, 0, 0); }
  void asked(std::uint64_t caller, duration timeout, const source_location& where, tick at) noexcept {
    write(recorded_kind::asked, 0, places_.number_of(where), at, caller, number(timeout));
  }
  void granted(std::uint64_t caller, connection_id connection, tick at) noexcept {
    write(recorded_kind::granted, 0, 0, at, caller, connection);
  }
  void refused(std::uint64_t caller, errc why, tick at) noexcept { write(recorded_kind::refused, code(why), 0, at, caller, 0); }
  void returned(connection_id connection, lease_over how, tick answered, tick at) noexcept {
    write(recorded_kind::returned, code(how), 0, at, connection, number(answered.time_since_epoch()));
  }
  void connect_begun(connection_id connection, tick at) noexcept { write(recorded_kind::connect_begun, 0, 0, at, connection, 0); }
  void connected(connection_id connection, duration took, tick at) noexcept {
    latest_connect_.store(took.count(), std::memory_order_relaxed);
    write(recorded_kind::connected, 0, 0, at, connection, number(took));
  }
  void connect_failed(connection_id connection, failure_kind why, tick at) noexcept {
    write(recorded_kind::connect_failed, code(why), 0, at, connection, 0);
  }
  void connect_given_up(connection_id connection, tick at) noexcept {
    write(recorded_kind::connect_failed, recorded_event::gave_up, 0, at, connection, 0);
  }
  void work_begun(connection_id connection, connection_work what, tick at) noexcept {
    write(recorded_kind::work_begun, code(what), 0, at, connection, 0);
  }
  void work_ended(connection_id connection, work_end how, tick at) noexcept {
    write(recorded_kind::work_ended, code(how), 0, at, connection, 0);
  }
  void destroyed(const destroyed_event& e, tick at) noexcept {
    write(recorded_kind::destroyed, code(e.reason), 0, at, e.id, number(e.age));
  }
  void leak(const leak_event& e, tick at) noexcept { write(recorded_kind::leak, code(e.what), 0, at, e.lease.id, number(e.lease.held)); }
  void breaker_changed(const breaker_event& e, tick at) noexcept {
    write(recorded_kind::breaker_changed, code(e.to), 0, at, 0, code(e.from));
  }
  void state_changed(const state_event& e, tick at) noexcept { write(recorded_kind::state_changed, code(e.to), 0, at, 0, code(e.from)); }
  void scaled(const scaled_event& e, tick at) noexcept { write(recorded_kind::scaled, 0, 0, at, e.from, e.to); }
  void verb(recorded_verb what, std::uint64_t subject, std::uint64_t value, tick at) noexcept {
    write(recorded_kind::verb, code(what), 0, at, subject, value);
  }
  ///@}

  // --- recordings -----------------------------------------------------------------------------------------------------

  /// What is in the ring up to `now`, in order; the pool fills in the rest. Throws std::bad_alloc.
  TIDEPOOL_DECL recording copy(tick now) const;
  /// Of the pool's random numbers.
  void seed(std::uint64_t value) noexcept { seed_ = value; }
  /// Whether a recording for this reason is wanted now; the next one is not before `interval` has passed.
  TIDEPOOL_DECL bool is_due(recording_reason why, tick now, duration interval) noexcept;
  /// An empty one ends it.
  TIDEPOOL_DECL void sink(recording_sink to);
  bool has_sink() const noexcept { return has_sink_.load(std::memory_order_relaxed); }
  /// To the sink, or else to a file whose name begins with `path`, if that is not empty. Throws what the sink throws, or recording_error.
  TIDEPOOL_DECL void hand_out(const recording& made, std::string_view path);

 private:
  template <class Code>
  static std::uint8_t code(Code value) noexcept {
    return static_cast<std::uint8_t>(value);
  }
  static std::uint64_t number(duration value) noexcept { return static_cast<std::uint64_t>(value.count()); }

  void write(recorded_kind kind, std::uint8_t code, std::uint16_t place, tick at, std::uint64_t subject, std::uint64_t value) noexcept {
    ring_.write(std::uint32_t{static_cast<std::uint8_t>(kind)} << 24 | std::uint32_t{code} << 16 | place, number(at.time_since_epoch()),
                subject, value);
  }

  detail::event_ring ring_;
  detail::place_table places_;
  std::uint64_t seed_ = 0;
  std::atomic<duration::rep> latest_connect_{0};
  std::array<std::atomic<duration::rep>, 4> latest_{};  ///< recording for each reason; 0: none yet
  std::atomic<bool> has_sink_{false};
  mutable std::mutex sink_mutex_;
  std::shared_ptr<recording_sink> sink_;
  std::atomic<unsigned> files_{0};  ///< written so far
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE

#if TIDEPOOL_HEADER_ONLY
#include "impl/recorder.ipp"
#endif

#endif
