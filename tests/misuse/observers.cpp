// SPDX-License-Identifier: BSL-1.0
// tidepool - observers of a wrong form, and what the compiler says of them; see README.md.
#include <tidepool/pool.hpp>

#include <memory>
#include <string>

struct conn {};

template <class Observer>
struct observed : tidepool::default_traits<conn> {
  using observer = Observer;
};
template <class Observer>
asio::awaitable<void> work(asio::io_context& io, Observer watcher) {
  tidepool::basic_pool<conn, observed<Observer>> pool(
      io, []() -> asio::awaitable<conn> { co_return conn(); }, {}, std::move(watcher));
  co_await pool.open();
  auto lease = co_await pool.acquire();
  lease.release();
  co_await pool.close();
}

// misuse: on_event() takes no event of the pool
// says: on_event() of the observer takes no event of the pool: write a public `void on_event(std::string_view pool, const E&)`
struct my_observer {
  void on_event(int);
};
template asio::awaitable<void> work(asio::io_context&, my_observer);

// misuse: on_event() is private
// says: on_event() of the observer takes no event of the pool: write a public
class my_observer {
  void on_event(std::string_view, const tidepool::leak_event&);
};
template asio::awaitable<void> work(asio::io_context&, my_observer);

// misuse: on_event() lacks the name of the pool
// says: an on_event() of the observer takes an event in another form
struct my_observer {
  void on_event(const tidepool::leak_event&);
};
template asio::awaitable<void> work(asio::io_context&, my_observer);

// misuse: on_event() changes the event
// says: an on_event() of the observer takes an event in another form
struct my_observer {
  void on_event(std::string_view, tidepool::leak_event&);
};
template asio::awaitable<void> work(asio::io_context&, my_observer);

// misuse: on_event() hides those of its base
// says: hides those of tidepool::log_observer: write `using tidepool::log_observer::on_event;` in it
struct my_observer : tidepool::log_observer {
  void on_event(std::string_view, const tidepool::leak_event&) {}
};
template asio::awaitable<void> work(asio::io_context&, my_observer);

// misuse: the observer has no on_event()
// says: Traits::observer has no on_event()
struct my_observer {
  void onEvent(std::string_view, const tidepool::leak_event&);
};
template asio::awaitable<void> work(asio::io_context&, my_observer);

// misuse: the observer is behind a pointer
// says: Traits::observer has no on_event()
struct my_observer {
  void on_event(std::string_view, const tidepool::leak_event&);
};
template asio::awaitable<void> work(asio::io_context&, std::shared_ptr<my_observer>);

// misuse: an observer that has to be given is not given
// says: the observer has no default: give it as the fourth argument
struct my_observer {
  explicit my_observer(int);
  void on_event(std::string_view, const tidepool::leak_event&);
};
void start(asio::io_context& io) {
  tidepool::basic_pool<conn, observed<my_observer>> pool(io, []() -> asio::awaitable<conn> { co_return conn(); });
}

// misuse: another observer is given than the Traits name
// says: the fourth argument is no Traits::observer
struct my_observer {
  void on_event(std::string_view, const tidepool::leak_event&);
};
void start(asio::io_context& io) {
  tidepool::basic_pool<conn> pool(
      io, []() -> asio::awaitable<conn> { co_return conn(); }, {}, my_observer());
}
