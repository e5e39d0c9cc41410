// SPDX-License-Identifier: BSL-1.0
// tidepool - observers, which get an event for everything the pool does, outside its lock.
#ifndef TIDEPOOL_POLICY_OBSERVER_HPP
#define TIDEPOOL_POLICY_OBSERVER_HPP

#include <atomic>
#include <concepts>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "../detail/util/linkage.hpp"
#include "../events.hpp"
#include "../pool_error.hpp"
#include "../version.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE {

/// Default: no observer, and no code for events.
/// An observer of your own is any copyable or movable class with some of these members (events without a member cost nothing):
/// `on_event(std::string_view pool, const E&)` for `E` in `created_event`, `destroyed_event`, `checkout_event`, `checkin_event`,
/// `connect_failed_event`, `health_failed_event`, `leak_event`, `scaled_event`, `breaker_event`, `state_event`, `slow_acquire_event`,
/// `acquire_failed_event`, `unused_event`, `reconfigured_event`, `server_limit_event`, `stall_event`,
/// `idle_horizon_event`, `advice_event`. They are called on the thread on which the event
/// happened, never under the pool's lock, possibly on several threads at once. They may call the pool. Their exceptions are ignored.
struct null_observer {};

/// Whether an observer gets an event. A class whose `on_event` has a slightly wrong signature, or matches no event, does not compile.
template <class Observer, class Event>
concept observes = requires(Observer& o, std::string_view pool, const Event& e) {
  o.on_event(pool, e);
};

/// How much a line of the log matters.
enum class log_level { debug, info, warning, error };
inline const char* to_string(log_level level) noexcept {
  constexpr const char* names[] = {"debug", "info", "warning", "error"};
  return names[static_cast<int>(level)];
}
/// Where lines go: any logger. May be called by several threads at once, never under the pool's lock. What it throws is ignored.
using log_sink = std::function<void(log_level, const std::string&)>;
/// A sink that writes to the standard error stream.
TIDEPOOL_DECL void stderr_sink(log_level level, const std::string& line);

/// Turns events into lines of text for any logger: one line for each, with blanks for control characters. What repeats is told rarely: of
/// connects that fail in a row the first, one for each further cause, a summary after 10, 20, 40 seconds and so on, at least every ten
/// minutes, with their number and for how long, and then the connect that succeeds again; those in between have `level::debug`. Of acquires
/// that fail for one reason, are slow, and of failed health checks the 1st, 2nd, 4th, 8th and so on of each ten seconds. A leak with its
/// stack is followed by the lines of the stack. Checkouts and check-ins have `level::debug`. The sink may be called by several threads at
/// once. Copies share sink and level, so a copy that the program keeps changes the level of its pool's. A class that derives from this and
/// adds an `on_event` needs `using log_observer::on_event;`: otherwise it would hide the others, and does not compile.
class log_observer {
 public:
  /// How important a line is.
  using level = log_level;
  /// Takes the lines.
  using sink = log_sink;

  log_observer() = default;
  TIDEPOOL_DECL explicit log_observer(sink out, level least = level::info);

  /// The least level of lines that are written; of all copies, from now on. Callable from any thread.
  void set_level(level least) noexcept {
    if (out_) out_->least.store(least, std::memory_order_relaxed);
  }
  /// `error` where there is no sink.
  level least_level() const noexcept { return out_ ? out_->least.load(std::memory_order_relaxed) : level::error; }

  TIDEPOOL_DECL void on_event(std::string_view p, const created_event& e);
  TIDEPOOL_DECL void on_event(std::string_view p, const destroyed_event& e);
  TIDEPOOL_DECL void on_event(std::string_view p, const checkout_event& e);
  TIDEPOOL_DECL void on_event(std::string_view p, const checkin_event& e);
  /// Told where `news` is set; the others have `level::debug`.
  TIDEPOOL_DECL void on_event(std::string_view p, const connect_failed_event& e);
  /// Those of ten seconds are told the 1st, 2nd, 4th, 8th ... time.
  TIDEPOOL_DECL void on_event(std::string_view p, const health_failed_event& e);
  TIDEPOOL_DECL void on_event(std::string_view p, const leak_event& e);
  TIDEPOOL_DECL void on_event(std::string_view p, const scaled_event& e);
  /// The probes of an open breaker have `level::debug`.
  TIDEPOOL_DECL void on_event(std::string_view p, const breaker_event& e);
  TIDEPOOL_DECL void on_event(std::string_view p, const state_event& e);
  /// Those of ten seconds are told the 1st, 2nd, 4th, 8th ... time.
  TIDEPOOL_DECL void on_event(std::string_view p, const slow_acquire_event& e);
  /// Those of ten seconds for the same reason are told the 1st, 2nd, 4th, 8th ... time; what the caller cancelled has `level::debug`.
  TIDEPOOL_DECL void on_event(std::string_view p, const acquire_failed_event& e);
  TIDEPOOL_DECL void on_event(std::string_view p, const unused_event& e);
  TIDEPOOL_DECL void on_event(std::string_view p, const reconfigured_event& e);
  TIDEPOOL_DECL void on_event(std::string_view p, const server_limit_event& e);
  TIDEPOOL_DECL void on_event(std::string_view p, const advice_event& e);
  TIDEPOOL_DECL void on_event(std::string_view p, const stall_event& e);
  TIDEPOOL_DECL void on_event(std::string_view p, const idle_horizon_event& e);

 private:
  static unsigned long long number(connection_id id) { return static_cast<unsigned long long>(id); }
  static double ms(duration d) { return std::chrono::duration<double, std::milli>(d).count(); }
  static int width(std::string_view text) { return static_cast<int>(text.size()); }
  // A null pointer is not allowed for %.*s, even with a width of zero.
  static const char* chars(std::string_view text) { return text.data() ? text.data() : ""; }

  struct shared {
    shared(sink to, level from) : out(std::move(to)), least(from) {}
    const sink out;
    std::atomic<level> least;
  };
  /// Those of ten seconds, the first of which is 1, get rarer.
  static bool rare(std::size_t alike) noexcept { return (alike & (alike - 1)) == 0; }
  /// " (8 within 10 s)", or nothing for the first.
  static std::string times(std::size_t alike);
  bool wants(level how) const { return out_ && out_->out && how >= out_->least.load(std::memory_order_relaxed); }
  template <class... Args>
  void say(level how, std::string_view pool, const char* format, Args... args);
  template <class... Args>
  static std::string line(std::string_view pool, const char* format, Args... args);

  std::shared_ptr<shared> out_;
};

namespace detail {

template <class... Event>
struct event_list {
  template <class Observer>
  static constexpr bool any = (observes<Observer, Event> || ...);
  /// Whether it still has every event of its base class.
  template <class Observer, class Base>
  static constexpr bool none_hidden = ((observes<Observer, Event> || !observes<Base, Event>)&&...);
  /// A member that takes the event, but in another form than the pool passes it.
  template <class Observer, class E>
  static constexpr bool nearly =
      !observes<Observer, E> &&
      (
          requires(Observer & o, E& e) { o.on_event(e); } || requires(Observer & o, std::string_view p, E& e) { o.on_event(p, e); } ||
          requires(Observer & o, std::string_view p, E& e) { o.on_event(e, p); } ||
          requires(Observer & o, std::string& p, E& e) { o.on_event(p, e); } ||
          requires(Observer & o, const char* p, E&& e) { o.on_event(p, std::move(e)); });
  template <class Observer>
  static constexpr bool exact = !(nearly<Observer, Event> || ...);
};
using pool_events = event_list<created_event, destroyed_event, checkout_event, checkin_event, connect_failed_event, health_failed_event,
                               leak_event, scaled_event, breaker_event, state_event, slow_acquire_event, acquire_failed_event, unused_event,
                               reconfigured_event, server_limit_event, stall_event, idle_horizon_event, advice_event>;

/// Whether a class has any member of a name, overloaded, templated, private or not: with another base that has one the name is ambiguous.
struct names_on_event {
  void on_event() {}
};
struct names_validate {
  void validate() {}
};
template <class Class, class Named>
struct with_name : Class, Named {};
template <class Class>
consteval bool has_on_event() {
  if constexpr (std::is_class_v<Class> && !std::is_final_v<Class>) return !requires {
      &with_name<Class, names_on_event>::on_event;
    };
  return requires { &Class::on_event; };
}
template <class Class>
consteval bool has_validate() {
  if constexpr (std::is_class_v<Class> && !std::is_final_v<Class>) return !requires {
      &with_name<Class, names_validate>::validate;
    };
  return requires { &Class::validate; };
}

/// Not a pointer to an observer, nor a class whose members have other names.
template <class Observer>
inline constexpr bool observer_listens = std::is_base_of_v<null_observer, Observer> || has_on_event<Observer>();
template <class Observer>
inline constexpr bool observer_sees_something = pool_events::any<Observer> || !has_on_event<Observer>();
template <class Observer>
inline constexpr bool observer_is_exact = pool_events::exact<Observer>;
template <class Observer>
inline constexpr bool observer_hides_nothing =
    !std::is_base_of_v<log_observer, Observer> || pool_events::none_hidden<Observer, log_observer>;

}  // namespace detail

/// What an observer needs: `null_observer` or a class derived from it, or some `on_event` members, all in the form of `observes`.
template <class Observer>
concept observer_form = std::move_constructible<Observer> && detail::observer_listens<Observer> &&
    detail::observer_sees_something<Observer> && detail::observer_is_exact<Observer> && detail::observer_hides_nothing<Observer>;

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE

#if TIDEPOOL_HEADER_ONLY
#include "impl/observer.ipp"
#endif

#endif
