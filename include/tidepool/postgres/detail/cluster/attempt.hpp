// SPDX-License-Identifier: BSL-1.0
// tidepool - an acquire in a host's pool, which its caller may leave.
#ifndef TIDEPOOL_POSTGRES_DETAIL_CLUSTER_ATTEMPT_HPP
#define TIDEPOOL_POSTGRES_DETAIL_CLUSTER_ATTEMPT_HPP

#include <algorithm>
#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

#include "../../../detail/util/asio.hpp"
#include "../../../pool_error.hpp"
#include "../../../source_location.hpp"
#include "../../../time.hpp"
#include "../../../version.hpp"
#include "../real_time.hpp"
#include "wake_event.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail::fleet {

template <class Pool>
class attempt {
 public:
  using lease = typename Pool::lease;
  /// How it has ended.
  struct outcome {
    lease granted{};
    std::optional<pool_error> failure{};
  };

  explicit attempt(const asio::any_io_executor& here) : strand_(asio::make_strand(here)) {}

  /// Without a pool it has failed already. `wakes` is set at its end.
  static std::shared_ptr<attempt> begin(const std::shared_ptr<Pool>& db, const std::shared_ptr<wake_event>& wakes,
                                        const asio::any_io_executor& here, clock::time_point until, const source_location& where) {
    auto out = std::make_shared<attempt>(here);
    if (!db) {
      out->done_ = true;
      return out;
    }
    const bool bounded = until != clock::time_point::max();
    const duration left = bounded ? std::max<duration>(until - clock::now(), std::chrono::milliseconds(1)) : duration(no_limit);
    auto ended = [out, wakes](std::optional<pool_error> failed, lease got) {
      lease unwanted;
      {
        const std::lock_guard lock(out->mutex_);
        out->done_ = true;
        (out->left_ ? unwanted : out->got_.granted) = std::move(got);
        if (!out->left_) out->got_.failure = std::move(failed);
      }
      wakes->set();
    };
    db->async_acquire(left, asio::bind_cancellation_slot(out->signal_.slot(), asio::bind_executor(out->strand_, std::move(ended))), where);
    return out;
  }
  bool done() const {
    const std::lock_guard lock(mutex_);
    return done_;
  }
  outcome take() {
    const std::lock_guard lock(mutex_);
    return std::move(got_);
  }
  /// Its caller does not want it any more.
  static void leave(const std::shared_ptr<attempt>& a) {
    if (!a) return;
    lease unwanted;
    {
      const std::lock_guard lock(a->mutex_);
      a->left_ = true;
      unwanted = std::move(a->got_.granted);
      if (a->done_) return;
    }
    asio::post(a->strand_, [a] { a->signal_.emit(asio::cancellation_type::terminal); });
  }

 private:
  mutable std::mutex mutex_;
  bool done_ = false;
  bool left_ = false;
  outcome got_{};
  asio::strand<asio::any_io_executor> strand_;  ///< of the signal
  asio::cancellation_signal signal_{};
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail::fleet

#endif
