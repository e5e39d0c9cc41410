// SPDX-License-Identifier: BSL-1.0
// tidepool - what a flight recorder holds: the last events of a pool, as a value, a file, and calls with their figures.
#ifndef TIDEPOOL_RECORDING_HPP
#define TIDEPOOL_RECORDING_HPP

#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "config.hpp"
#include "detail/util/lazy.hpp"
#include "detail/util/linkage.hpp"
#include "error.hpp"
#include "events.hpp"
#include "policy/no_recorder.hpp"
#include "states.hpp"
#include "time.hpp"
#include "version.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE {

/// What one event of a recording tells.
enum class recorded_kind : std::uint8_t {
  taken = 1,        ///< a caller got a connection at once; subject: connection, value: its timeout, code: 1 for `try_acquire()`
  missed,           ///< `try_acquire()` got none
  asked,            ///< a caller could not be served at once; subject: caller, value: its timeout
  granted,          ///< it got a connection; subject: caller, value: connection
  refused,          ///< it got none; subject: caller, code: `errc`
  returned,         ///< a lease ended; subject: connection, code: `lease_over`, value: when its server last answered, 0: not known
  connect_begun,    ///< subject: connection
  connected,        ///< subject: connection, value: how long it took
  connect_failed,   ///< subject: connection, code: `failure_kind`, or `gave_up`
  work_begun,       ///< on a connection; subject: connection, code: `connection_work`
  work_ended,       ///< subject: connection, code: `work_end`
  destroyed,        ///< subject: connection, code: `close_reason`, value: its age
  leak,             ///< subject: connection, code: `leak_event::kind`, value: held for how long
  breaker_changed,  ///< code: the new `breaker_state`, value: the old one
  state_changed,    ///< code: the new `pool_state`, value: the old one
  scaled,           ///< subject: connections open, value: the new target
  verb              ///< of the program, code: `recorded_verb`; subject and value: sizes of `resize()`; value: the grace of `close()`
};
/// As in `to_json_lines()`.
TIDEPOOL_DECL const char* to_string(recorded_kind kind) noexcept;
TIDEPOOL_DECL const char* to_string(recorded_verb verb) noexcept;
TIDEPOOL_DECL const char* to_string(recording_reason reason) noexcept;

/// One event. What `subject`, `value` and `code` are depends on its kind.
struct recorded_event {
  /// Of `connect_failed`: the pool gave it up, because it took too long or the pool was closed.
  static constexpr std::uint8_t gave_up = 255;

  duration at{};  ///< by the pool's clock, since that clock's epoch
  recorded_kind kind = recorded_kind::missed;
  std::uint8_t code = 0;
  std::uint16_t place = 0;  ///< of the acquire: an index into `recording::places`; 0: not known
  std::uint64_t subject = 0;
  std::uint64_t value = 0;

  friend bool operator==(const recorded_event&, const recorded_event&) = default;
};

/// Where a program acquires.
struct recorded_place {
  std::string file;  ///< the end of its path, 87 bytes at most
  std::uint32_t line = 0;

  friend bool operator==(const recorded_place&, const recorded_place&) = default;
};

/// One acquire from its beginning to the end of its lease, put together from its events.
struct recorded_call {
  /// What became of it.
  enum class outcome {
    served,   ///< it got a connection
    refused,  ///< it got none: `why`
    missed,   ///< `try_acquire()` got none
    waiting   ///< it still waited at the end of the recording
  };
  outcome what = outcome::served;
  bool queued = false;    ///< not served at once
  bool tried = false;     ///< by `try_acquire()`
  bool earlier = false;   ///< it began before the recording: `asked` is the beginning of the recording
  bool returned = false;  ///< its lease has ended, at `ended`; otherwise it was out at the end of the recording
  lease_over how = lease_over::released;
  errc why{};
  std::uint16_t place = 0;
  duration asked{};
  duration timeout{};
  duration answered{};             ///< when it got its connection, or its error
  duration ended{};                ///< of its lease; of the recording where that was still out
  duration unanswered = no_limit;  ///< how long before `ended` the server had answered last; `no_limit`: not known
  connection_id connection = 0;
  std::size_t returned_by = 0;  ///< index of the event that ended the lease

  duration waited() const noexcept { return answered - asked; }
  duration held() const noexcept { return ended - answered; }
};

/// What a recording comes to, for comparing two of them.
struct recorded_figures {
  std::uint64_t calls = 0;     ///< acquires that began in it
  std::uint64_t served = 0;    ///< of those, the ones that got a connection
  std::uint64_t timeouts = 0;  ///< `errc::timeout`, an empty `try_acquire()` included
  std::uint64_t cancelled = 0;
  std::uint64_t refused = 0;  ///< for any other reason
  duration wait_p50{};        ///< of those served, exact; zero where none was
  duration wait_p99{};
  duration wait_max{};
  std::size_t most_leased = 0;  ///< leases out at once
  std::size_t most_open = 0;    ///< connections open at once
  std::uint64_t connects = 0;   ///< that succeeded
  std::uint64_t connect_failures = 0;
  std::uint64_t closed = 0;  ///< connections that were destroyed

  friend bool operator==(const recorded_figures&, const recorded_figures&) = default;
  /// One line for people: "1200 calls: 1180 served, 20 timeouts; wait p50 0.1 ms ...".
  TIDEPOOL_DECL std::string text() const;
};

/// A file or text is no recording, or is damaged; says where and how.
class recording_error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// The last events of a pool: what a `recorder` hands out. A plain value.
class recording {
 public:
  std::string pool;            ///< its name
  std::string configuration;   ///< `pool_config::to_string()` of the one in force when this was made
  recording_reason reason{};   ///< why it was made
  duration made_at{};          ///< by the pool's clock
  std::int64_t unix_time = 0;  ///< the same in nanoseconds since 1970, UTC; 0: not known, the pool has a clock of its own
  std::uint64_t seed = 0;      ///< of the pool's random numbers
  bool validates = false;      ///< its connections can be validated by a round trip
  bool says_goodbye = false;   ///< ... and are closed by a `close()` of their own
  std::uint64_t lost = 0;      ///< earlier events, overwritten by later ones
  std::uint64_t torn = 0;      ///< events left out because they were being written
  duration latest_connect{};   ///< how long the latest connect took, before the recording as well; zero: none succeeded
  std::vector<recorded_place> places{1};
  std::vector<recorded_event> events;  ///< in order, and all since the first of them, but for `torn`

  friend bool operator==(const recording&, const recording&) = default;

  /// The configuration. Throws std::invalid_argument as `pool_config::from_string()` does.
  TIDEPOOL_LAZY pool_config config() const;
  /// From the first event to the moment it was made.
  duration begins_at() const noexcept { return events.empty() ? made_at : events.front().at; }
  duration length() const noexcept { return made_at - begins_at(); }

  // --- what it tells --------------------------------------------------------------------------------------------------

  /// Every acquire of which it has an event, in the order in which they began.
  TIDEPOOL_DECL std::vector<recorded_call> calls() const;
  TIDEPOOL_DECL recorded_figures figures() const;
  /// Connections that were open when it begins, by number.
  TIDEPOOL_DECL std::vector<connection_id> open_at_begin() const;
  /// "file:line" of a place; "?" where that is not known.
  TIDEPOOL_DECL std::string place(std::uint16_t index) const;

  // --- as bytes; the format is in include/tidepool/README.md -----------------------------------------------------------

  TIDEPOOL_DECL std::string to_bytes() const;
  /// Throws recording_error that says what is wrong with them. Safe with bytes from anybody.
  TIDEPOOL_DECL static recording from_bytes(std::string_view bytes);
  /// Writes a file, whole or not at all. Throws recording_error.
  TIDEPOOL_DECL void save(const std::string& path) const;
  /// Reads one. Throws recording_error.
  TIDEPOOL_DECL static recording load(const std::string& path);
  /// One JSON object a line: first what the recording is, then each event. Times are in seconds of the pool's clock.
  TIDEPOOL_DECL std::string to_json_lines() const;
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE

#if TIDEPOOL_HEADER_ONLY
#include "impl/recording.ipp"
#include "impl/recording_calls.ipp"
#endif

#endif
