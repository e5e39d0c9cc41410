// SPDX-License-Identifier: BSL-1.0
// tidepool - time limits and pauses of the PostgreSQL driver in the time of a simulation.
#ifndef TIDEPOOL_TESTING_POSTGRES_DRIVER_TIME_HPP
#define TIDEPOOL_TESTING_POSTGRES_DRIVER_TIME_HPP

#include <algorithm>
#include <chrono>
#include <memory>
#include <utility>

#include "../../detail/driver/real_time.hpp"
#include "../../detail/driver/side_thread.hpp"
#include "../../version.hpp"
#include "../simulation.hpp"
#include "../virtual_timer.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::testing::detail {

/// Asio looks at the driver's timers only when real time has passed. So there is a virtual timer for each time one is set to, and when that
/// is over a timer that has been due for long makes Asio look.
class driver_time final : public simulated_io, public tidepool::detail::driver::time_source {
 public:
  explicit driver_time(simulation& owner) : owner_(owner) { owner_.allow_io(*this); }
  driver_time(const driver_time&) = delete;
  driver_time& operator=(const driver_time&) = delete;
  ~driver_time() { owner_.forbid_io(*this); }

  bool under_way() const noexcept override { return *looks_ > 0 || tidepool::detail::driver::side_threads_running().load() > 0; }
  void enter() noexcept override { outer_ = std::exchange(tidepool::detail::driver::simulated_time, this); }
  void leave() noexcept override { tidepool::detail::driver::simulated_time = outer_; }

 private:
  using clock = tidepool::detail::driver::clock;
  using asio_timer = asio::basic_waitable_timer<clock>;

  clock::time_point now() const noexcept override {
    static const clock::time_point begin = clock::real_now();
    return begin + (owner_.now() - simulation::default_start);
  }
  void wake_at(clock::time_point at) override {
    const auto span = at == clock::time_point::max() ? std::chrono::hours(24 * 365) : at - now();
    if (span >= std::chrono::hours(24 * 365)) return;
    const auto timer = std::make_shared<virtual_timer>(owner_.get_executor());
    timer->expires_after(std::max<clock::duration>(span, clock::duration::zero()));
    timer->async_wait([timer, &owner = owner_, looks = looks_](error_code failure) {
      if (failure) return;
      const auto due = std::make_shared<asio_timer>(owner.get_executor());
      due->expires_at(clock::time_point());
      ++*looks;
      due->async_wait([due, looks](error_code) { --*looks; });
    });
  }

  simulation& owner_;
  std::shared_ptr<int> looks_ = std::make_shared<int>(0);  ///< that Asio has still to do
  tidepool::detail::driver::time_source* outer_ = nullptr;
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::testing::detail

#endif
