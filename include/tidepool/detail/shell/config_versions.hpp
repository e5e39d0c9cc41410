// SPDX-License-Identifier: BSL-1.0
// tidepool - the configuration of a pool at work: readers need no lock, because no version goes away before the pool.
#ifndef TIDEPOOL_DETAIL_SHELL_CONFIG_VERSIONS_HPP
#define TIDEPOOL_DETAIL_SHELL_CONFIG_VERSIONS_HPP

#include <atomic>
#include <functional>
#include <string>
#include <utility>

#include "../../config.hpp"
#include "../../version.hpp"
#include "../util/owning_ptr.hpp"
#include "../util/words.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail {

/// Versions that readers take without a lock.
class config_versions {
 public:
  struct version {
    explicit version(const pool_config& from)
        : config(from), no_answer("no answer within the connect timeout of " + in_words(from.connect_timeout)) {}
    const pool_config config;
    const std::string no_answer;  ///< of a connect that ran out of time

   private:
    friend class config_versions;
    const version* before_ = nullptr;
  };
  explicit config_versions(const pool_config& first) : latest_(new version(first)) {}
  config_versions(const config_versions&) = delete;
  config_versions& operator=(const config_versions&) = delete;
  ~config_versions() {
    for (const version* each = &latest(); each != nullptr;) delete std::exchange(each, each->before_);
  }

  const version& latest() const noexcept { return *latest_.load(std::memory_order_acquire); }
  /// One that was not in use. By one thread at a time; allocates nothing.
  void publish(owning_ptr<version> next) noexcept {
    next->before_ = &latest();
    latest_.store(next.release(), std::memory_order_release);
  }

 private:
  std::atomic<const version*> latest_;
};

/// A connector may know that a configuration does not fit what it connects to: an in-memory database has one connection. Empty where it
/// has no `check()`.
template <class Connect>
std::function<void(const pool_config&)> config_check_of(const Connect& connect) {
  if constexpr (requires(const pool_config& c) { connect.check(c); }) return [connect](const pool_config& c) { connect.check(c); };
  return nullptr;
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail

#endif
