// SPDX-License-Identifier: BSL-1.0
// tidepool - what the codes of the pool mean.
#ifndef TIDEPOOL_IMPL_ERROR_IPP
#define TIDEPOOL_IMPL_ERROR_IPP

#include <string>

#include "../error.hpp"
#include "../version.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE {

namespace detail {

class TIDEPOOL_EXPORT pool_category final : public shared_category {
 public:
  const char* name() const noexcept override { return "tidepool"; }
  std::string message(int value) const override {
    switch (static_cast<errc>(value)) {
      case errc::timeout: return "no connection became free in time";
      case errc::closed: return "the pool is closed";
      case errc::queue_full: return "too many callers wait for a connection";
      case errc::circuit_open: return "the circuit breaker is open";
      case errc::connect_failed: return "connecting failed";
      case errc::cancelled: return "cancelled by the caller";
      case errc::empty_lease: return "the lease holds no connection";
      case errc::not_in_time: return "the time limit has passed";
    }
    return "unknown pool error";
  }
  error_condition default_error_condition(int value) const noexcept override {
    switch (static_cast<errc>(value)) {
      case errc::timeout:
      case errc::not_in_time: return generic_errc::timed_out;
      case errc::cancelled: return generic_errc::operation_canceled;
      case errc::queue_full: return generic_errc::resource_unavailable_try_again;
      case errc::connect_failed:
      case errc::circuit_open: return generic_errc::not_connected;
      default: return {value, *this};
    }
  }
};

}  // namespace detail

const error_category& pool_category() noexcept {
  static const detail::pool_category instance;
  return instance;
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE

#endif
