// SPDX-License-Identifier: BSL-1.0
// tidepool - a lease: the right to use one connection until it is given back.
#ifndef TIDEPOOL_LEASE_HPP
#define TIDEPOOL_LEASE_HPP

#include <string_view>
#include <utility>

#include "detail/shell/pool_front.hpp"
#include "detail/util/linkage.hpp"
#include "error.hpp"
#include "version.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE {

namespace detail {
/// Not a part of its callers' code: those are on the hot path.
[[noreturn, gnu::cold]] TIDEPOOL_DECL void throw_empty_lease(const char* what);
}  // namespace detail

/// Move-only; the destructor gives the connection back. A lease may outlive the pool object and the execution context, and may be given
/// back on any thread. Thread safety: one thread at a time may use a lease.
///
/// Giving back never blocks, never throws and never waits for the server: a waiting caller gets the connection by a post to its own
/// executor, and a reset, where needed, runs in the background.
template <class Connection, class Traits>
class [[nodiscard("a lease without a name is given back at once")]] basic_lease {
 public:
  basic_lease() noexcept = default;
  basic_lease(basic_lease && other) noexcept : entry_(std::exchange(other.entry_, nullptr)) {}
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
  /// The connection. References end with the lease. Throws `tidepool::system_error` with `errc::empty_lease` when the lease holds none.
  Connection& operator*() const& {
    if (!entry_) [[unlikely]]
      detail::throw_empty_lease("-> or *");
    return *entry_->connection;
  }
  Connection* operator->() const { return &**this; }
  /// `auto& connection = *co_await pool.acquire();` would be a reference to a connection that has been given back: name the lease.
  Connection& operator*() const&& = delete;

  /// Gives the connection back now. No effect on an empty lease.
  void release() noexcept {
    if (entry* held = std::exchange(entry_, nullptr)) held->pool->release(*held);
  }
  /// Ends the lease and has the connection destroyed, because the holder knows that it is bad. No effect on an empty lease.
  void discard() noexcept {
    if (entry* held = std::exchange(entry_, nullptr)) held->pool->discard(*held);
  }
  /// Takes the connection out of the pool for good; the pool opens another one if it needs to. The lease is empty afterwards. Throws
  /// `tidepool::system_error` with `errc::empty_lease` when there is none, pool_error with `errc::closed` when the pool has shut the
  /// connection (a leak that was reclaimed, or the end of the close's grace); and the exceptions of the connection's move constructor.
  [[nodiscard("it is yours now; to get rid of a connection, discard() the lease")]] Connection detach() {
    if (!entry_) detail::throw_empty_lease("detach()");
    return entry_->pool->detach(*std::exchange(entry_, nullptr));
  }

  /// The number of the connection, unique in the life of the pool; 0 when empty.
  connection_id id() const noexcept { return entry_ ? entry_->id : 0; }
  /// How long the connection has been held by this lease.
  duration age() const noexcept { return entry_ ? detail::precise_now<Traits>() - detail::tick(entry_->checked_out) : duration::zero(); }
  /// A name for this lease in leak and timeout reports; cut to 47 bytes, cleared at the end of the lease.
  void label(std::string_view text) noexcept {
    if (entry_) entry_->pool->label(*entry_, text);
  }

 private:
  friend struct detail::make_lease;
  using entry = detail::pool_entry<Connection, Traits>;

  explicit basic_lease(entry * held) noexcept : entry_(held) {}

  entry* entry_ = nullptr;
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE

#if TIDEPOOL_HEADER_ONLY
#include "impl/lease.ipp"
#endif

#endif
