// SPDX-License-Identifier: BSL-1.0
// tidepool - the life of a pool: started by its first caller, closed once, suspended and resumed meanwhile.
#ifndef TIDEPOOL_DETAIL_CORE_LIFE_CYCLE_HPP
#define TIDEPOOL_DETAIL_CORE_LIFE_CYCLE_HPP

#include <cstdint>

#include "../../version.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail {

/// fresh -> running -> closing -> closed; fresh -> closing as well.
class life_cycle {
 public:
  enum class phase : std::uint8_t { fresh, running, closing, closed };

  /// Whether callers are served and connections opened.
  bool admits() const noexcept { return admits_; }
  bool fresh() const noexcept { return phase_ == phase::fresh; }
  bool running() const noexcept { return phase_ == phase::running; }
  bool closed() const noexcept { return phase_ == phase::closed; }
  bool stopped() const noexcept { return phase_ == phase::closing || phase_ == phase::closed; }
  bool suspended() const noexcept { return suspended_; }
  /// The pool object is gone: nothing is closed gracefully any more.
  bool orphan() const noexcept { return orphan_; }

  /// True the first time.
  bool start() noexcept {
    if (!fresh()) return false;
    phase_ = phase::running;
    admits_ = !suspended_;
    return true;
  }
  void suspend() noexcept {
    suspended_ = true;
    admits_ = false;
  }
  void resume() noexcept {
    suspended_ = false;
    admits_ = running();
  }
  void begin_close() noexcept {
    phase_ = phase::closing;
    admits_ = false;
  }
  void finish() noexcept { phase_ = phase::closed; }
  void abandon() noexcept { orphan_ = true; }

 private:
  bool admits_ = false;
  phase phase_ = phase::fresh;
  bool suspended_ = false;
  bool orphan_ = false;
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail

#endif
