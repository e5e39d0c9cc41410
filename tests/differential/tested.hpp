// SPDX-License-Identifier: BSL-1.0
// tidepool - what is tested: the driver, by one of its ways to run a statement.
#ifndef TIDEPOOL_TESTS_DIFFERENTIAL_TESTED_HPP
#define TIDEPOOL_TESTS_DIFFERENTIAL_TESTED_HPP

#include <array>
#include <chrono>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include <tidepool/postgres.hpp>

#include "../support/on_end.hpp"
#include "plain.hpp"

namespace tidepool_differential {

namespace asio = tidepool::asio;
namespace pg = tidepool::postgres;

enum class way { exec, script, stream, cached, independent, atomic };
inline constexpr std::array<way, 6> all_ways = {way::exec, way::script, way::stream, way::cached, way::independent, way::atomic};
inline const char* name_of(way how) {
  switch (how) {
    case way::exec: return "exec";
    case way::script: return "script";
    case way::stream: return "stream";
    case way::cached: return "exec with the statement cache";
    case way::independent: return "independent pipeline";
    case way::atomic: return "atomic pipeline";
  }
  return "";
}

inline void take(observation& seen, const pg::error& failure) {
  for (auto& text : seen.parts) text.clear();
  seen[part::kind] = failure.connection_lost()              ? "lost"
                     : failure.reason() == pg::errc::server ? "error"
                                                            : std::string(failure.explanation());
  seen[part::sqlstate] = failure.sqlstate();
  seen[part::severity] = failure.severity();
  seen[part::message] = failure.message();
}

namespace verbs {  // coroutines own what they need

inline asio::awaitable<void> exec(pg::connection& on, std::string sql, observation& seen) {
  const pg::result got = co_await on.exec(sql);
  take(seen, got.native());
}
inline asio::awaitable<void> script(pg::connection& on, std::string sql, observation& seen) {
  co_await on.script(sql);
  for (const auto p : {part::kind, part::tag, part::columns, part::cells}) seen.silent(p);
}

inline void add_value(std::string& cells, const std::optional<std::string>& value) {
  cells += value ? *value : std::string(1, null_mark);
  cells += value_end;
}
/// Rows of another width than T's are only counted.
template <class T>
asio::awaitable<void> stream(pg::connection& on, std::string sql, observation& seen) {
  std::string cells;
  auto rows = co_await on.stream<T>(sql);
  for (;;) {
    std::optional<T> row;
    bool odd = false;
    try {
      row = co_await rows.next();
    } catch (const pg::error& failure) {
      if (failure.reason() != pg::errc::columns) throw;
      odd = true;
    }
    if (!row && !odd) break;
    if (odd) {
      seen.silent(part::cells);
    } else if constexpr (std::is_same_v<T, std::optional<std::string>>) {
      add_value(cells, *row);
    } else {
      std::apply([&](const auto&... value) { (add_value(cells, value), ...); }, *row);
    }
    cells += row_end;
  }
  seen[part::cells] = std::move(cells);
  for (const auto p : {part::kind, part::tag, part::columns}) seen.silent(p);
}
using text = std::optional<std::string>;
inline asio::awaitable<void> stream_of_width(pg::connection& on, std::string sql, int width, observation& seen) {
  switch (width) {
    case 2: return stream<std::tuple<text, text>>(on, std::move(sql), seen);
    case 3: return stream<std::tuple<text, text, text>>(on, std::move(sql), seen);
    case 4: return stream<std::tuple<text, text, text, text>>(on, std::move(sql), seen);
    case 5: return stream<std::tuple<text, text, text, text, text>>(on, std::move(sql), seen);
    default: return stream<text>(on, std::move(sql), seen);
  }
}

inline asio::awaitable<void> copy_in(pg::connection& on, std::string sql, std::string data, observation& seen) {
  auto out = co_await on.copy_in(sql);
  // In pieces that do not end with rows.
  for (std::size_t at = 0; at < data.size(); at += 1000) co_await out.write(std::string_view(data).substr(at, 1000));
  const auto count = co_await out.finish();
  seen[part::kind] = "copy in";
  seen[part::tag] = "COPY " + std::to_string(count);
}
inline asio::awaitable<void> copy_out(pg::connection& on, std::string sql, observation& seen) {
  std::string cells;
  auto in = co_await on.copy_out(sql);
  for (auto line = co_await in.next(); line; line = co_await in.next()) cells += *line;
  seen[part::kind] = "copy out";
  seen[part::cells] = std::move(cells);
  seen.silent(part::tag);
}

inline asio::awaitable<void> batch(pg::connection& on, std::vector<std::string> all, pg::pipeline_mode mode,
                                   std::vector<observation>& seen) {
  auto line = on.pipeline(mode);
  std::vector<pg::pipeline_result> answers;
  for (const auto& sql : all) answers.push_back(line.exec(sql));
  std::exception_ptr lost;
  try {
    co_await line.run();
  } catch (const pg::error& failure) {
    if (failure.connection_lost()) lost = std::current_exception();
  }
  for (std::size_t i = 0; i < all.size(); ++i) {
    try {
      take(seen[i], answers[i].get().native());
    } catch (const pg::error& failure) {
      take(seen[i], failure);
      if (failure.reason() == pg::errc::rolled_back) seen[i][part::kind] = "not run";
    }
  }
  if (lost) std::rethrow_exception(lost);
}

}  // namespace verbs

/// One connection of the driver's.
class tested_side {
 public:
  tested_side(const std::string& conninfo, way how) : how_(how) {
    pg::options settings(conninfo);
    // So few that statements are evicted all the time.
    if (how == way::cached) settings.statement_cache = 8;
    settings.on_notice = [this](const pg::notice& said) {
      notices_ += notice_text(std::string(said.severity), std::string(said.sqlstate), std::string(said.message), std::string(said.detail),
                              std::string(said.hint));
    };
    drive(connect(std::move(settings), connection_));
  }
  tested_side(const tested_side&) = delete;
  tested_side& operator=(const tested_side&) = delete;

  PGconn* native() const noexcept { return connection_.native(); }
  pg::connection& get() noexcept { return connection_; }
  way how() const noexcept { return how_; }
  bool good() const noexcept { return connection_.native() != nullptr && PQstatus(connection_.native()) == CONNECTION_OK && !lost_; }

  enum class copies { no, in, out };
  /// `copying`: from or to this side. `width`: of the rows libpq saw.
  observation run(const std::string& sql, copies copying, const std::string& data, int width) {
    observation seen;
    if (copying == copies::in) {
      watch(verbs::copy_in(connection_, sql, data, seen), seen);
    } else if (copying == copies::out) {
      watch(verbs::copy_out(connection_, sql, seen), seen);
    } else if (how_ == way::script) {
      watch(verbs::script(connection_, sql, seen), seen);
    } else if (how_ == way::stream) {
      watch(verbs::stream_of_width(connection_, sql, width, seen), seen);
    } else {
      watch(verbs::exec(connection_, sql, seen), seen);
    }
    end(seen);
    return seen;
  }
  std::pair<std::vector<observation>, observation> run_batch(const std::vector<std::string>& all) {
    std::vector<observation> out(all.size());
    observation whole;
    const auto mode = how_ == way::atomic ? pg::pipeline_mode::atomic : pg::pipeline_mode::independent;
    watch(verbs::batch(connection_, all, mode, out), whole);
    end(whole);
    return {std::move(out), std::move(whole)};
  }
  void end(observation& seen) {
    seen[part::notices] = std::exchange(notices_, {});
    seen[part::state] = native() == nullptr ? "unknown" : transaction_state(native());
  }

 private:
  static asio::awaitable<void> connect(pg::options settings, pg::connection& out) {
    out = co_await pg::connection::connect(std::move(settings));
  }
  void watch(asio::awaitable<void> task, observation& seen) {
    try {
      drive(std::move(task));
    } catch (const pg::error& failure) {
      take(seen, failure);
      lost_ = lost_ || failure.connection_lost();
    }
  }
  void drive(asio::awaitable<void> task) {
    std::exception_ptr failure;
    bool done = false;
    const tidepool_tests::on_end at_end = [&](std::exception_ptr e) {
      failure = e;
      done = true;
    };
    asio::co_spawn(context_, std::move(task), at_end);
    context_.restart();
    const auto limit = std::chrono::steady_clock::now() + std::chrono::minutes(3);
    while (!done && std::chrono::steady_clock::now() < limit) context_.run_one_for(std::chrono::seconds(1));
    if (!done) throw std::runtime_error("the driver hangs");
    if (failure) std::rethrow_exception(failure);
  }

  asio::io_context context_;
  way how_;
  std::string notices_;
  pg::connection connection_;
  bool lost_ = false;
};

}  // namespace tidepool_differential

#endif
