// SPDX-License-Identifier: BSL-1.0
// tidepool - a lease: the right to use one connection until it is given back.
#ifndef TIDEPOOL_LEASE_HPP
#define TIDEPOOL_LEASE_HPP

#include <cassert>
#include <string_view>
#include <utility>

#include "detail/shell/pool_impl.hpp"
#include "version.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE {

/// Move-only; gives its connection back in its destructor. May outlive the pool object and the execution context, and may be given
/// back on any thread; one lease is used by one thread at a time.
///
/// Giving back never blocks, never throws and never waits for the server: a waiting caller gets the connection by a post to its own
/// executor, a needed reset runs in the background.
template <class Connection, class Traits>
class basic_lease {
 public:
  basic_lease() noexcept = default;
  basic_lease(basic_lease&& other) noexcept : entry_(std::exchange(other.entry_, nullptr)) {}
  basic_lease& operator=(basic_lease&& other) noexcept {
    if (this != &other) {
      release();
      entry_ = std::exchange(other.entry_, nullptr);
    }
    return *this;
  }
  ~basic_lease() { release(); }

  /// Whether it holds a connection.
  explicit operator bool() const noexcept { return entry_ != nullptr; }
  /// The connection; the lease must hold one. References end with the lease.
  Connection& operator*() const noexcept {
    assert(entry_);
    return *entry_->connection;
  }
  Connection* operator->() const noexcept { return &**this; }

  /// Gives the connection back now. An empty lease: no effect.
  void release() noexcept {
    if (entry* held = std::exchange(entry_, nullptr)) held->pool->release(*held);
  }
  /// Gives it back to be destroyed, because the holder knows it to be bad.
  void discard() noexcept {
    if (entry* held = std::exchange(entry_, nullptr)) held->pool->discard(*held);
  }
  /// Takes the connection out of the pool for good; the pool opens another one if it needs to. The lease is empty afterwards. Throws
  /// std::system_error: `errc::empty_lease` when there is none, `errc::closed` when the pool has shut the connection (a leak reclaimed, or
  /// the end of close's grace); and what the move constructor of the connection throws.
  Connection detach() {
    if (!entry_) throw std::system_error(make_error_code(errc::empty_lease));
    return entry_->pool->detach(*std::exchange(entry_, nullptr));
  }

  /// Number of the connection, unique over the pool's life; 0 when empty.
  connection_id id() const noexcept { return entry_ ? entry_->id : 0; }
  /// How long the connection has been held by this lease.
  duration age() const noexcept { return entry_ ? detail::precise_now<Traits>() - detail::tick(entry_->checked_out) : duration::zero(); }
  /// Says who holds it, in leak and timeout reports; cut to 47 bytes, forgotten at the end of the lease.
  void label(std::string_view text) noexcept {
    if (entry_) entry_->pool->label(*entry_, text);
  }

 private:
  friend struct detail::make_lease;
  using entry = detail::pool_entry<Connection, Traits>;

  explicit basic_lease(entry* held) noexcept : entry_(held) {}

  entry* entry_ = nullptr;
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE

#endif
