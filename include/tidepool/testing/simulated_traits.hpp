// SPDX-License-Identifier: BSL-1.0
// tidepool - Traits for a pool in a simulation.
#ifndef TIDEPOOL_TESTING_SIMULATED_TRAITS_HPP
#define TIDEPOOL_TESTING_SIMULATED_TRAITS_HPP

#include <cstdint>

#include "../instantiate.hpp"  // a file of tests makes its pools: compiled separately, no other file holds their code
#include "../traits.hpp"
#include "../version.hpp"
#include "virtual_timer.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::testing {

/// `tidepool::basic_pool<C, simulated_traits<C>>` runs in virtual time, and its jitter comes from the choice source of the simulation that
/// is current when the pool is made. Handlers that are templates of the pool compile with it unchanged. Derive from it to exchange
/// policies. Its mutex is checked: user code under the pool's lock makes `simulation::step()` throw.
template <class Connection>
struct simulated_traits : default_traits<Connection> {
  using clock_type = virtual_clock;
  using timer_type = virtual_timer;
  using mutex_type = checked_mutex;

  static constexpr bool checks_transitions = true;  ///< each change of a connection's state is checked against the table of the core

  static constexpr duration coarse_lag = std::chrono::milliseconds(4);
  /// Behind by the simulation's `coarse_lag()`, which must not be more than the one above.
  static virtual_clock::time_point coarse_now() noexcept {
    const simulation* s = simulation::current();
    return s ? s->now() - s->coarse_lag() : virtual_clock::now();
  }
  /// A simulated machine never sleeps.
  static duration suspended() noexcept { return {}; }
  static std::uint64_t random_seed() {
    simulation* s = simulation::current();
    return s ? s->choices().choose(65536) : 0;
  }
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::testing

#endif
