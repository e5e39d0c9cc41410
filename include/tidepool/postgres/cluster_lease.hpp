// SPDX-License-Identifier: BSL-1.0
// tidepool - a lease of a cluster's: a pool's, and the place on its host.
#ifndef TIDEPOOL_POSTGRES_CLUSTER_LEASE_HPP
#define TIDEPOOL_POSTGRES_CLUSTER_LEASE_HPP

#include <cstddef>
#include <memory>
#include <string_view>
#include <utility>

#include "../detail/util/intrusive_list.hpp"
#include "../time.hpp"
#include "../version.hpp"
#include "cancel.hpp"
#include "pool.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres {

struct cluster_options;

namespace detail::fleet {

template <class Pool>
class cluster_base;
class host_standing;
struct lane_lease;

/// What the cluster knows of a lease.
template <class Pool>
struct place : tidepool::detail::list_hook {
  std::size_t host = 0;
  bool at_primary = false;
  bool moved = false;  ///< it leads to a server that is no longer the host
  bool to_shut = false;
  bool to_stop = false;        ///< what it waits for
  connection* held = nullptr;  ///< for as long as it is linked
  canceller stop{};
  const host_standing* standing = nullptr;  ///< of the owner's
  std::shared_ptr<cluster_base<Pool>> owner{};
};

/// The cluster as leases see it.
template <class Pool>
class cluster_base {
 public:
  cluster_base(const cluster_base&) = delete;
  cluster_base& operator=(const cluster_base&) = delete;
  virtual ~cluster_base() = default;
  /// The lease is about to end: nobody else touches its connection from here on.
  virtual void leaving(place<Pool>& p) noexcept = 0;
  /// It has ended.
  virtual void left(const place<Pool>& p) noexcept = 0;
  virtual std::string_view host_of(const place<Pool>& p) const noexcept = 0;
  virtual void shut_down() noexcept = 0;
  /// Its host and the primary are asked soon.
  virtual void want_proof(const place<Pool>& p) noexcept = 0;
  /// Whether a replica is within the bound and has room. One whose latest answer is too old to tell is asked.
  virtual bool replica_within(duration max_lag) noexcept = 0;
  virtual const cluster_options& options_of() const noexcept = 0;

 protected:
  cluster_base() = default;
};

}  // namespace detail::fleet

/// Move-only; the destructor gives the connection back. May outlive the cluster object and the execution context, and may be given back on
/// any thread. The cluster shuts its connection where the host falls silent or loses its place, after `cluster_options::abort_grace`.
template <class Pool>
class [[nodiscard("a lease without a name is given back at once")]] basic_cluster_lease {
 public:
  basic_cluster_lease() noexcept = default;
  basic_cluster_lease(typename Pool::lease of_pool, std::unique_ptr<detail::fleet::place<Pool>> at) noexcept
      : lease_(std::move(of_pool)), place_(std::move(at)) {}
  basic_cluster_lease(basic_cluster_lease && other) noexcept = default;
  basic_cluster_lease& operator=(basic_cluster_lease&& other) noexcept {
    if (this != &other) {
      release();
      lease_ = std::move(other.lease_);
      place_ = std::move(other.place_);
    }
    return *this;
  }
  ~basic_cluster_lease() { release(); }

  explicit operator bool() const noexcept { return bool(lease_); }  ///< whether it holds a connection
  /// The connection. Throws `tidepool::system_error` with `errc::empty_lease` when the lease holds none.
  connection& operator*() const& { return *lease_; }
  connection* operator->() const { return &*lease_; }
  connection& operator*() const&& = delete;

  /// Gives the connection back now. No effect on an empty lease.
  void release() noexcept {
    end([](typename Pool::lease& l) { l.release(); });
  }
  /// Ends the lease and has the connection destroyed. No effect on an empty lease.
  void discard() noexcept {
    end([](typename Pool::lease& l) { l.discard(); });
  }

  /// The host, as "10.0.0.7:5432"; valid as long as the lease; empty when there is none.
  std::string_view host() const noexcept { return place_ ? place_->owner->host_of(*place_) : std::string_view(); }
  /// Whether the host was the primary when the lease was granted.
  bool from_primary() const noexcept { return place_ && place_->at_primary; }
  connection_id id() const noexcept { return lease_.id(); }           ///< as of a pool's lease; unique on its host
  duration age() const noexcept { return lease_.age(); }              ///< how long the connection has been held
  void label(std::string_view text) noexcept { lease_.label(text); }  ///< a name in leak and timeout reports of the host's pool

 private:
  friend detail::fleet::lane_lease;
  template <class How>
  void end(How how) noexcept {
    if (!place_) return;
    const auto p = std::move(place_);
    p->owner->leaving(*p);
    how(lease_);
    p->owner->left(*p);
  }

  typename Pool::lease lease_;
  std::unique_ptr<detail::fleet::place<Pool>> place_;
};

/// Of a `cluster`.
using cluster_lease = basic_cluster_lease<pool>;

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres

#endif
