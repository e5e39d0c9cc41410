// SPDX-License-Identifier: BSL-1.0
// tidepool - several observers on one pool.
#ifndef TIDEPOOL_POLICY_COMBINED_OBSERVERS_HPP
#define TIDEPOOL_POLICY_COMBINED_OBSERVERS_HPP

#include <concepts>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

#include "../version.hpp"
#include "observer.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE {

/// An observer that tells others, in their order: `using observer = tidepool::combined_observers<tidepool::log_observer, my_metrics>;` in
/// the Traits, and `combined_observers(log, metrics)` as the fourth argument of the pool. Each gets the events it has a member for; events
/// that none of them wants cost nothing. What one throws is ignored, and does not keep an event from the others. As safe with threads as
/// they are.
template <observer_form... Observers>
class combined_observers {
  static_assert(sizeof...(Observers) > 0, "combined_observers needs the observers it tells");

 public:
  /// All by their defaults.
  combined_observers() requires(std::default_initializable<Observers>&&...) = default;
  /// Takes them over.
  explicit combined_observers(Observers... each) : all_(std::move(each)...) {}

  /// Called by the pool.
  template <class Event>
  requires(observes<Observers, Event> || ...) void on_event(std::string_view pool, const Event& event) noexcept {
    std::apply([&](auto&... each) { (tell(each, pool, event), ...); }, all_);
  }
  /// One of them, by its type.
  template <class Observer>
  Observer& get() noexcept {
    return std::get<Observer>(all_);
  }

 private:
  template <class Observer, class Event>
  static void tell(Observer& to, std::string_view pool, const Event& event) noexcept {
    if constexpr (observes<Observer, Event>) {
      try {
        to.on_event(pool, event);
      } catch (...) {  // its own trouble
      }
    }
  }

  std::tuple<Observers...> all_;
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE

#endif
