// SPDX-License-Identifier: BSL-1.0
// tidepool - a lease of the pool while it is a lane: made one of a kind, and given back as it was.
//
// Between `enter()` and `leave_pipeline()` the session is in pipeline mode, and busy for everybody else. A read lane has
// `default_transaction_read_only` switched on by a SET, and off again before the lease ends.
#ifndef TIDEPOOL_POSTGRES_DETAIL_MUX_LANE_SESSION_HPP
#define TIDEPOOL_POSTGRES_DETAIL_MUX_LANE_SESSION_HPP

#include <chrono>
#include <exception>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "../../../detail/core/decisions.hpp"
#include "../../../version.hpp"
#include "../../connection.hpp"
#include "../perform.hpp"
#include "job.hpp"
#include "lane_input.hpp"
#include "lane_source.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail::mux {

template <class Pool>
class lane_session {
 public:
  using source = lane_source<Pool>;
  using lease = typename source::lease;

  lane_session(source from, lease held, asio::any_io_executor executor)
      : source_(std::move(from)), lease_(std::move(held)), session_(lease_->session()), input_(std::move(executor)) {}
  lane_session(const lane_session&) = delete;
  lane_session& operator=(const lane_session&) = delete;
  ~lane_session() { shut(); }

  void shut() noexcept {
    if (!session_) return;
    input_.stop(*session_);
    if (running_) {
      // What runs is cancelled in the background when the session is destroyed.
      running_.reset();
    }
    session_.reset();
    lease_.discard();
  }
  /// Whether the connection should go back to the pool, which then looks at it.
  tidepool::detail::lease_recall wanted() const noexcept {
    using tidepool::detail::lease_recall;
    const session& s = *session_;
    if (s.retire || s.outdated || s.role_unconfirmed || s.wrong_role) return lease_recall::due;
    return source_.recall(lease_, s.reads_only ? lane_kind::read : lane_kind::write);
  }
  /// Whether it may be given statements now, and does not lose that right before they are sent.
  bool fits() const noexcept requires source::judges { return source_.fits(lease_); }

 protected:
  asio::awaitable<void> become(lane_kind kind) {
    session& s = *session_;
    names_ = may_name(s);
    const bool reads = kind == lane_kind::read;
    const bool on = is_on();
    framed_ = reads && s.pooled && !on;
    if (framed_) {
      // Nothing may be set in it.
    } else if (reads && !on) {
      co_await perform(session_, bounded(request::simple("set default_transaction_read_only = on", "multiplexer")));
      switched_ = true;
    } else if (!reads && switched_) {
      co_await perform(session_, bounded(request::simple("set default_transaction_read_only = off", "multiplexer")));
      switched_ = false;
    }
    s.reads_only = reads;
    enter();
  }
  void enter() {
    running_.emplace(*session_, "multiplexer");
    running_->hold();
    if (PQenterPipelineMode(session_->pg()) != 1) throw session_->lost("while starting a pipeline");
  }
  void leave_pipeline(bool drained) {
    input_.stop(*session_);
    if (!drained || PQexitPipelineMode(session_->pg()) != 1) throw session_->lost("at the end of a pipeline");
    running_->finished();
    running_.reset();
  }
  /// `tidy`: what has to be run before. `clean`: nothing is under way on it, and it may be kept.
  asio::awaitable<void> give_back(std::string tidy, bool clean) {
    try {
      leave_pipeline(clean);
      if (switched_) tidy += "set default_transaction_read_only = off;";
      if (!tidy.empty()) co_await perform(session_, bounded(request::simple(tidy, "multiplexer")));
    } catch (const std::exception&) {
      clean = false;
    }
    running_.reset();
    session_->reads_only = false;
    session_.reset();
    if (clean) {
      lease_.release();
    } else {
      lease_.discard();
    }
  }
  /// False: a statement has made the session of a read lane writable, as `set_config()` can. The server reports that.
  bool keeps_its_kind() noexcept {
    if (!session_->reads_only || framed_ || PQparameterStatus(session_->pg(), setting) == nullptr || is_on()) return true;
    session_->broken = true;
    return false;
  }

 private:
  static constexpr auto patience = std::chrono::seconds(2);
  static constexpr const char* setting = "default_transaction_read_only";
  static request bounded(request what) {
    what.limit = patience;
    return what;
  }
  bool is_on() const noexcept {
    const char* const is = PQparameterStatus(session_->pg(), setting);
    return is != nullptr && std::string_view(is) == "on";
  }

  source source_;
  lease lease_;

 protected:
  session_ptr session_;
  lane_input input_;
  bool framed_ = false;  ///< its groups are transactions between BEGIN READ ONLY and COMMIT
  bool names_ = true;    ///< statements may be prepared

 private:
  std::optional<named_operation> running_;
  bool switched_ = false;  ///< it was made read-only here
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail::mux

#endif
