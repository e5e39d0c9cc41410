// SPDX-License-Identifier: BSL-1.0
// tidepool - the pool's log in a program's own logger: a sink for std::clog, a sink for spdlog, and both at once, with levels that change
// while the pool runs. Compiled with spdlog where that is installed (Debian: libspdlog-dev), else with a stand-in for it.
#include <tidepool/pool.hpp>

#include <iostream>
#include <memory>
#include <string>

#if defined(TIDEPOOL_EXAMPLE_HAS_SPDLOG)
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#else
namespace spdlog {  // as much of it as is used here
namespace level {
enum level_enum { debug, info, warn, err };
}
struct logger {
  explicit logger(std::string name) : name_(std::move(name)) {}
  void log(level::level_enum how, const std::string& text) { std::cout << name_ << " " << static_cast<int>(how) << " " << text << "\n"; }

 private:
  std::string name_;
};
inline std::shared_ptr<logger> stdout_logger_mt(const std::string& name) { return std::make_shared<logger>(name); }
}  // namespace spdlog
#endif

/// Lines as syslog's priorities: <7> debug ... <3> error, which journald reads from the standard error stream.
void clog_sink(tidepool::log_level level, const std::string& line) {
  constexpr const char* priorities[] = {"<7>", "<6>", "<4>", "<3>"};
  std::clog << priorities[static_cast<int>(level)] + line + "\n";  // one write, because several threads may log at once
}

/// The sink owns the logger. spdlog decides by its own level as well.
tidepool::log_sink spdlog_sink(std::shared_ptr<spdlog::logger> to) {
  return [to = std::move(to)](tidepool::log_level level, const std::string& line) {
    constexpr spdlog::level::level_enum levels[] = {spdlog::level::debug, spdlog::level::info, spdlog::level::warn, spdlog::level::err};
    to->log(levels[static_cast<int>(level)], line);
  };
}

/// A connection that connects to nothing.
struct session {};

/// Two logs with levels of their own. Copies share their level, so those that main() keeps change it in the pool.
struct logged_twice : tidepool::default_traits<session> {
  using observer = tidepool::combined_observers<tidepool::log_observer, tidepool::log_observer>;
};
using session_pool = tidepool::basic_pool<session, logged_twice>;

asio::awaitable<void> work(session_pool& pool) { auto lease = co_await pool.acquire(); }

int main() {
  asio::io_context io;
  tidepool::pool_config config;
  config.name = "sessions";
  config.min_size = 1;
  tidepool::log_observer operators(clog_sink, tidepool::log_level::warning);
  tidepool::log_observer developers(spdlog_sink(spdlog::stdout_logger_mt("pool")), tidepool::log_level::info);
  session_pool pool(
      io, []() -> asio::awaitable<session> { co_return session(); }, config, logged_twice::observer(operators, developers));
  operators.set_level(tidepool::log_level::info);  // at any time, on any thread: by a signal, or a request to an admin port
  tidepool::run(io, pool, work);
}
