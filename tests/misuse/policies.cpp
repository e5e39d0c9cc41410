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
