// SPDX-License-Identifier: BSL-1.0
// tidepool - policies of a wrong form, and what the compiler says of them; see README.md.
#include <tidepool/pool.hpp>

struct conn {
  bool usable() const noexcept;
};
using traits = tidepool::default_traits<conn>;

template <class Traits>
asio::awaitable<void> work(asio::io_context& io) {
  tidepool::basic_pool<conn, Traits> pool(io, []() -> asio::awaitable<conn> { co_return conn(); });
  co_await pool.open();
  auto lease = co_await pool.acquire();
  lease.release();
  co_await pool.close();
}

// misuse: a health policy without members
// says: Traits::health_policy lacks `static constexpr bool enabled`
struct my_traits : traits {
  struct health_policy {};
};
template asio::awaitable<void> work<my_traits>(asio::io_context&);

// misuse: a health policy that is not made from the configuration
// says: Traits::health_policy cannot be made from the configuration: write `explicit P(const tidepool::pool_config&)`
struct my_traits : traits {
  struct health_policy : tidepool::health_check {
    health_policy() : tidepool::health_check(tidepool::pool_config()) {}
  };
};
template asio::awaitable<void> work<my_traits>(asio::io_context&);

// misuse: a health policy whose fresh_until() has another form
// says: Traits::health_policy: write `tick fresh_until(tick last_ok) const noexcept`
struct my_traits : traits {
  struct health_policy : tidepool::health_check {
    using tidepool::health_check::health_check;
    bool fresh_until(tidepool::duration) const;
  };
};
template asio::awaitable<void> work<my_traits>(asio::io_context&);

// misuse: validate() returns a bool
// says: validate() of the health policy has another form
struct my_traits : traits {
  struct health_policy : tidepool::health_check {
    using tidepool::health_check::health_check;
    asio::awaitable<bool> validate(conn&);
  };
};
template asio::awaitable<void> work<my_traits>(asio::io_context&);

// misuse: validate() takes another type
// says: validate() of the health policy has another form
struct my_traits : traits {
  struct health_policy : tidepool::health_check {
    using tidepool::health_check::health_check;
    asio::awaitable<void> validate(int&);
  };
};
template asio::awaitable<void> work<my_traits>(asio::io_context&);

// misuse: validate() is private
// says: validate() of the health policy has another form
struct my_traits : traits {
  class health_policy : public tidepool::health_check {
    using tidepool::health_check::health_check;

    asio::awaitable<void> validate(conn&);
  };
};
template asio::awaitable<void> work<my_traits>(asio::io_context&);

// misuse: validate() is of another executor
// says: validate() of the health policy runs on another executor
struct my_traits : traits {
  struct health_policy : tidepool::health_check {
    using tidepool::health_check::health_check;
    asio::awaitable<void, asio::io_context::executor_type> validate(conn&);
  };
};
template asio::awaitable<void> work<my_traits>(asio::io_context&);

// misuse: a leak policy without a member
// says: Traits::leak_policy: write `duration reclaim_after() const noexcept`
struct my_traits : traits {
  struct leak_policy {
    static constexpr bool enabled = true;
    explicit leak_policy(const tidepool::pool_config&) {}
    tidepool::duration report_after() const noexcept;
  };
};
template asio::awaitable<void> work<my_traits>(asio::io_context&);

// misuse: a scaling policy whose target() takes other arguments
// says: Traits::scaling_policy: write `std::size_t target(const scaling_sample& sample) const noexcept`
struct my_traits : traits {
  struct scaling_policy : tidepool::utilization_scaling {
    using tidepool::utilization_scaling::utilization_scaling;
    std::size_t target(double) const noexcept;
  };
};
template asio::awaitable<void> work<my_traits>(asio::io_context&);

// misuse: a lifetime policy whose worn_out() is not const
// says: Traits::lifetime_policy: write `bool worn_out(std::uint64_t uses) const noexcept`
struct my_traits : traits {
  struct lifetime_policy : tidepool::lifetime_recycling {
    using tidepool::lifetime_recycling::lifetime_recycling;
    bool worn_out(std::uint64_t);
  };
};
template asio::awaitable<void> work<my_traits>(asio::io_context&);

// misuse: a breaker without a member
// says: Traits::breaker_policy: write `void undecided(tick now) noexcept`
struct my_traits : traits {
  struct breaker_policy {
    static constexpr bool enabled = true;
    explicit breaker_policy(const tidepool::pool_config&) {}
    tidepool::breaker_state state() const noexcept;
    tidepool::tick retry_at() const noexcept;
    bool allows(tidepool::tick, std::size_t) const noexcept;
    void started() noexcept;
    void succeeded() noexcept;
    void failed(tidepool::tick) noexcept;
  };
};
template asio::awaitable<void> work<my_traits>(asio::io_context&);

// misuse: a breaker whose state is private
// says: Traits::breaker_policy: write `breaker_state state() const noexcept`
struct my_traits : traits {
  class breaker_policy : public tidepool::circuit_breaker {
   public:
    using tidepool::circuit_breaker::circuit_breaker;

   private:
    tidepool::breaker_state state() const noexcept;
  };
};
template asio::awaitable<void> work<my_traits>(asio::io_context&);

// misuse: a queue policy without its member
// says: Traits::queue_policy: write `static constexpr bool newest_first = true;`
struct my_traits : traits {
  struct queue_policy {};
};
template asio::awaitable<void> work<my_traits>(asio::io_context&);
