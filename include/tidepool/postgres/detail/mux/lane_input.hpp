// SPDX-License-Identifier: BSL-1.0
// tidepool - waits for the socket of a lane, for as long as the lane lives.
#ifndef TIDEPOOL_POSTGRES_DETAIL_MUX_LANE_INPUT_HPP
#define TIDEPOOL_POSTGRES_DETAIL_MUX_LANE_INPUT_HPP

#include <functional>
#include <memory>
#include <utility>

#include "../../../detail/util/asio.hpp"
#include "../../../version.hpp"
#include "../session.hpp"
#include "../waiting.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail::mux {

class lane_input {
 public:
  explicit lane_input(asio::any_io_executor executor) : executor_(std::move(executor)) {}

  /// From now on `input` is called, on the executor, when the socket can do what was waited for.
  void start(std::function<void()> input) {
    pulse_ = std::make_shared<pulse>();
    pulse_->input = std::move(input);
  }
  template <class Session>
  void wait_readable(Session& of) {
    if (pulse_->reading) return;
    pulse_->reading = true;
    if (tls_pending(of.pg())) {
      asio::post(executor_, ready{pulse_, false});
      return;
    }
    (pulse_->writing ? of.socket() : of.socket(wait_type::wait_read))
        .async_wait(wait_type::wait_read, asio::bind_executor(executor_, ready{pulse_, false}));
  }
  template <class Session>
  void wait_writable(Session& of) {
    if (!pulse_ || pulse_->writing) return;
    pulse_->writing = true;
    of.socket(wait_type::wait_write).async_wait(wait_type::wait_write, asio::bind_executor(executor_, ready{pulse_, true}));
  }
  /// It is not called any more.
  template <class Session>
  void stop(Session& of) noexcept {
    if (!pulse_) return;
    pulse_->stopped = true;
    pulse_->input = nullptr;
    pulse_.reset();
    if (of.has_socket()) {
      try {
        of.socket().cancel();
      } catch (...) {
      }
    }
  }

 private:
  /// Shared with the handlers of the socket, which may outlive the lane.
  struct pulse {
    std::function<void()> input;
    bool reading = false;
    bool writing = false;
    bool stopped = false;
  };
  /// The function while it runs: that may end the lane, and `stop()` would destroy it. A copy would cost an allocation for each answer.
  struct running {
    pulse& of;
    std::function<void()> input;
    explicit running(pulse& p) noexcept : of(p), input(std::move(p.input)) {}
    running(const running&) = delete;
    running& operator=(const running&) = delete;
    ~running() {
      if (!of.stopped) of.input = std::move(input);
    }
  };
  struct ready {
    std::shared_ptr<pulse> of;
    bool writing;
    void operator()(error_code failed = {}) const {
      (writing ? of->writing : of->reading) = false;
      if (failed == asio::error::operation_aborted || !of->input) return;
      const running call(*of);
      call.input();
    }
  };

  asio::any_io_executor executor_;
  std::shared_ptr<pulse> pulse_;
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail::mux

#endif
