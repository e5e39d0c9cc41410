// SPDX-License-Identifier: BSL-1.0
// tidepool - the last lines of a log, kept in memory.
#ifndef TIDEPOOL_RECENT_LINES_HPP
#define TIDEPOOL_RECENT_LINES_HPP

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "detail/util/linkage.hpp"
#include "policy/observer.hpp"
#include "version.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE {

/// Keeps the last lines of one or several logs, for a page, a report, or a debugger: `recent_lines last; pool.log_to(last.sink());`.
/// A copy is the same list. Every member may be called from several threads at once. A line takes a short lock of its own and the memory
/// of its text.
class recent_lines {
 public:
  /// One of them.
  struct line {
    std::uint64_t number = 0;                  ///< counts up from 1
    std::chrono::system_clock::time_point at;  ///< when it came
    log_level level{};
    std::string text;
  };

  /// Keeps `most` lines, each cut to `longest` bytes; both at least 1.
  TIDEPOOL_DECL explicit recent_lines(std::size_t most = 100, std::size_t longest = 500);

  /// Adds a line; the oldest goes where the list is full. Throws std::bad_alloc.
  TIDEPOOL_DECL void add(log_level level, std::string_view text);
  /// For `log_to()` or a `log_observer`. Keeps the list alive.
  TIDEPOOL_DECL log_sink sink() const;
  /// The same, and passes each line on to `next`.
  TIDEPOOL_DECL log_sink sink(log_sink next) const;
  /// Those that came after the line of this number and are still there, oldest first. Throws std::bad_alloc.
  TIDEPOOL_DECL std::vector<line> since(std::uint64_t number = 0) const;
  /// The same as a JSON list of `number`, `at_ms` (milliseconds since 1970), `level` and `text`.
  TIDEPOOL_DECL std::string to_json(std::uint64_t number = 0) const;

 private:
  struct ring;
  std::shared_ptr<ring> ring_;
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE

#if TIDEPOOL_HEADER_ONLY
#include "impl/recent_lines.ipp"
#endif

#endif
