// SPDX-License-Identifier: BSL-1.0
// tidepool - no flight recorder: the default.
#ifndef TIDEPOOL_POLICY_NO_RECORDER_HPP
#define TIDEPOOL_POLICY_NO_RECORDER_HPP

#include <cstdint>

#include "../config.hpp"
#include "../version.hpp"
#include "form.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE {

// What the pool and a recorder say to each other; a file without a recorder includes no more of it than this.

/// How a lease ended, in a `returned` event.
enum class lease_over : std::uint8_t { released, discarded, detached };
/// What a pool does to a connection, in a `work_begun` event.
enum class connection_work : std::uint8_t { validate, reset, close };
/// How that ended.
enum class work_end : std::uint8_t { done, failed, gave_up };
/// What the program asked of the pool, in a `verb` event.
enum class recorded_verb : std::uint8_t { open, close, suspend, resume, resize, recycle, reconfigure };
/// Why a recording was made.
enum class recording_reason : std::uint8_t { request, timeout, leak, breaker };

/// Default: nothing is recorded, at no cost. See `recorder` (policy/recorder.hpp).
class no_recorder {
 public:
  static constexpr bool enabled = false;
  explicit no_recorder(const pool_config&) {}
};

namespace detail {
/// A recorder that is on is `recorder`, or derives from it: what it holds has the format of a recording.
template <class P>
inline constexpr bool is_recorder = requires {
  typename P::recorder_base;
};
template <class Traits>
struct recorder_of {
  using type = no_recorder;
};
/// Traits that do not derive from `default_traits` may go without.
template <class Traits>
requires requires { typename Traits::recorder_policy; }
struct recorder_of<Traits> {
  using type = typename Traits::recorder_policy;
};
}  // namespace detail

/// What a recorder policy needs.
template <class P>
concept recorder_form = policy_off<P> ||(switched_policy<P>&& detail::is_recorder<P>);

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE

#endif
