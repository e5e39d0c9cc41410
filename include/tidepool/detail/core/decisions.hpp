// SPDX-License-Identifier: BSL-1.0
// tidepool - the two decisions of the pool: what becomes of a caller, and where a connection goes when it is free.
#ifndef TIDEPOOL_DETAIL_CORE_DECISIONS_HPP
#define TIDEPOOL_DETAIL_CORE_DECISIONS_HPP

#include <cstdint>

#include "../../error.hpp"
#include "../../states.hpp"
#include "../../version.hpp"
#include "../util/attributes.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail {

// --- a caller asks for a connection ---------------------------------------------------------------------------------

struct admission_input {
  bool running = true;       ///< the pool, not closing
  bool admits = true;        ///< not suspended either
  bool others_wait = false;  ///< who came first is served first
  bool idle_there = false;   ///< a connection that is not too old
  bool idle_fresh = false;   ///< it may be handed out without a look
  bool can_wait = true;      ///< its time is not up already
  bool queue_full = false;   ///< `max_waiting`
  errc hopeless{};           ///< nothing is alive or on its way, and connecting is refused for this reason
};
enum class admission : std::uint8_t { serve, queue, refuse };
struct admission_verdict {
  admission what = admission::refuse;
  errc why{};
};

// Inlined, because what is known at the place of a call leaves little of it.
TIDEPOOL_ALWAYS_INLINE constexpr admission_verdict admit(const admission_input& f) noexcept {
  if (!f.running) return {admission::refuse, errc::closed};
  // A caller that cannot wait for a validation takes a connection that is due for one.
  if (f.admits && !f.others_wait && f.idle_there && (f.idle_fresh || !f.can_wait)) return {admission::serve, errc{}};
  if (!f.can_wait) return {admission::refuse, errc::timeout};
  if (f.queue_full) return {admission::refuse, errc::queue_full};
  if (f.hopeless != errc{}) return {admission::refuse, f.hopeless};
  return {admission::queue, errc{}};
}

// --- a connection is free: its lease, its validation, its reset or its connect has ended --------------------------------

struct routing_input {
  lease_end end = lease_end::clean;
  bool running = true;    ///< the pool
  bool admits = true;     ///< it is not suspended either
  bool current = true;    ///< its generation, see recycle()
  bool worn_out = false;  ///< `max_uses`
  bool surplus = false;   ///< more are open than `max_size` allows
  bool too_old = false;   ///< `max_lifetime`; the caller has postponed that where it may
  bool caller_waits = false;
  bool fresh = true;  ///< may be handed out without a look
};
enum class destination : std::uint8_t { waiter, idle, reset, close, destroy };
struct route {
  destination to = destination::idle;
  close_reason why{};  ///< of `close` and `destroy`
};

/// What the connection is comes first, then what the pool wants, then who waits. `generation_ended`: why the latest generation did.
TIDEPOOL_ALWAYS_INLINE constexpr route where_to(const routing_input& f, close_reason generation_ended) noexcept {
  if (f.end == lease_end::broken) return {destination::destroy, close_reason::broken};
  if (f.end == lease_end::unfinished) return {destination::close, close_reason::broken};
  if (!f.running) return {destination::close, close_reason::shutdown};
  if (f.end == lease_end::outdated) return {destination::close, close_reason::outdated};
  if (f.end == lease_end::retired) return {destination::close, close_reason::retired};
  if (f.worn_out) return {destination::close, close_reason::max_uses};
  if (!f.current) return {destination::close, generation_ended};
  if (f.surplus) return {destination::close, close_reason::shrunk};
  // Before its age is looked at: a reset takes time, and what is not needed by then is closed after it.
  if (f.end == lease_end::needs_reset) return {destination::reset, {}};
  if (f.too_old) return {destination::close, close_reason::lifetime};
  if (f.admits && f.caller_waits && f.fresh) return {destination::waiter, {}};
  return {destination::idle, {}};
}

// --- a lease that is held for long -----------------------------------------------------------------------------------------

/// What a pool would have the holder of a lease do, where it keeps one for long.
enum class lease_recall : std::uint8_t {
  none,         ///< keep it
  others_wait,  ///< a caller waits for a connection: give it back where it is not in use
  due           ///< give it back soon: it is at its lifetime, was recycled, is above `max_size`, or the pool is suspended or closing
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail

#endif
