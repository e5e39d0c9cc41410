// SPDX-License-Identifier: BSL-1.0
// tidepool - every call of a connection against a server that breaks the protocol at every place.
#include <algorithm>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "../support/on_end.hpp"
#include "scripted_server.hpp"

using namespace tidepool_tests;

namespace {

/// Worse than any error.
struct wrong_answer : std::runtime_error {
  explicit wrong_answer(const std::string& got) : std::runtime_error("a wrong answer: " + got) {}
};
void want(std::string_view got, std::string_view expected) {
  if (got != expected) throw wrong_answer("\"" + std::string(got.substr(0, 80)) + "\" for \"" + std::string(expected) + "\"");
}

// --- verbs ------------------------------------------------------------------------------------------------------------------

std::string statement(const std::string& mark) { return "select '" + mark + "'"; }

template <std::size_t... I>
asio::awaitable<void> exec_with(pg::connection& c, std::string mark, std::index_sequence<I...>) {
  const pg::result got = co_await c.exec(statement(mark), static_cast<int>(I)...);
  constexpr auto count = sizeof...(I);
  want(got.one<std::string>(), count == 0 ? mark : mark + "/" + std::to_string(count) + "/" + std::to_string(count - 1));
}
template <std::size_t Count>
asio::awaitable<void> exec(pg::connection& c, std::string mark) {
  return exec_with(c, std::move(mark), std::make_index_sequence<Count>());
}
asio::awaitable<void> cached(pg::connection& c, std::string mark) {
  for (const int i : {1, 2}) {
    const pg::result got = co_await c.exec(statement(mark), i);
    want(got.one<std::string>(), mark + "/1/" + std::to_string(i));
  }
}
asio::awaitable<void> script(pg::connection& c, std::string mark) { co_await c.script("insert '" + mark + "'; " + statement(mark)); }
asio::awaitable<void> prepare(pg::connection& c, std::string mark) {
  const pg::statement made = co_await c.prepare(statement(mark));
  const pg::result got = co_await c.exec(made, 5);
  want(got.one<std::string>(), mark + "/1/5");
}
asio::awaitable<void> stream(pg::connection& c, std::string mark) {
  auto rows = co_await c.stream<std::string>(statement(mark));
  for (auto row = co_await rows.next(); row; row = co_await rows.next()) want(*row, mark);
}
asio::awaitable<void> stream_closed(pg::connection& c, std::string mark) {
  auto rows = co_await c.stream<std::string>(statement(mark));
  const auto row = co_await rows.next();
  if (row) want(*row, mark);
  co_await rows.close();
}
asio::awaitable<void> copy_in(pg::connection& c, std::string mark) {
  auto out = co_await c.copy_in("copy t from stdin '" + mark + "'");
  for (const int i : {1, 2}) co_await out.row(i, mark);
  const auto count = co_await out.finish();
  if (count != 2) throw wrong_answer("COPY " + std::to_string(count));
}
asio::awaitable<void> copy_out(pg::connection& c, std::string mark) {
  auto in = co_await c.copy_out("copy t to stdout '" + mark + "'");
  for (auto line = co_await in.next(); line; line = co_await in.next()) want(*line, mark + "\n");
}
asio::awaitable<void> pipeline(pg::connection& c, std::string mark, pg::pipeline_mode mode) {
  auto batch = c.pipeline(mode);
  std::vector<pg::pipeline_result> answers;
  for (const int i : {0, 1, 2}) answers.push_back(batch.exec(statement(mark + std::to_string(i))));
  std::exception_ptr first;
  bool failed = false;
  try {
    co_await batch.run();
  } catch (const pg::error&) {
    first = std::current_exception();
    failed = mode == pg::pipeline_mode::atomic;
  }
  for (std::size_t i = 0; i < answers.size(); ++i) {
    try {
      want(answers[i]->one<std::string>(), mark + std::to_string(i));
      if (failed) throw wrong_answer("a result of an atomic pipeline that failed");
    } catch (const pg::error&) {
      if (!first) first = std::current_exception();
    }
  }
  if (first) std::rethrow_exception(first);
}
asio::awaitable<void> atomic(pg::connection& c, std::string mark) { return pipeline(c, std::move(mark), pg::pipeline_mode::atomic); }
asio::awaitable<void> independent(pg::connection& c, std::string mark) {
  return pipeline(c, std::move(mark), pg::pipeline_mode::independent);
}
asio::awaitable<void> transaction(pg::connection& c, std::string mark) {
  const auto body = [&mark](pg::transaction& t) -> asio::awaitable<void> {
    const pg::result got = co_await t.exec(statement(mark));
    want(got.one<std::string>(), mark);
  };
  co_await c.transaction(body);
}
asio::awaitable<void> nested(pg::connection& c, std::string mark) {
  const auto inner = [&mark](pg::transaction& t) -> asio::awaitable<void> {
    const pg::result got = co_await t.exec(statement(mark));
    want(got.one<std::string>(), mark);
  };
  const auto body = [&inner](pg::transaction& t) -> asio::awaitable<void> { co_await t.nested(inner); };
  co_await c.transaction(body);
}
asio::awaitable<void> ping(pg::connection& c, std::string) { co_await c.ping(); }
asio::awaitable<void> reset(pg::connection& c, pg::reset_level level) {
  co_await c.script("begin");
  co_await c.reset(level);
}
asio::awaitable<void> roll_back(pg::connection& c, std::string) { return reset(c, pg::reset_level::rollback); }
asio::awaitable<void> reset_light(pg::connection& c, std::string) { return reset(c, pg::reset_level::light); }
asio::awaitable<void> reset_full(pg::connection& c, std::string) { return reset(c, pg::reset_level::full); }
asio::awaitable<void> close(pg::connection& c, std::string) { co_await c.close(); }

asio::awaitable<void> keep_cancelling(pg::canceller stop, std::shared_ptr<bool> done) {
  while (!*done) {
    co_await pause(5ms);
    (void)co_await stop.cancel();
  }
}
asio::awaitable<void> cancel(pg::connection& c, std::string mark) {
  const auto done = std::make_shared<bool>(false);
  asio::co_spawn(co_await asio::this_coro::executor, keep_cancelling(c.canceller(), done), asio::detached);
  std::exception_ptr failure;
  try {
    co_await c.exec(statement("hold " + mark));
  } catch (...) {
    failure = std::current_exception();
  }
  *done = true;
  if (failure) std::rethrow_exception(failure);
}

/// With a connection of its own; its second one is served honestly.
asio::awaitable<void> listen(pg::options settings) {
  pg::listener inbox{pg::connector(std::move(settings)), {"jobs"}};
  for (;;) {
    const auto got = co_await inbox.next();
    if (!got || got->channel != "jobs") continue;
    want(got->payload, "work");
    break;
  }
  co_await inbox.close();
}

struct verb {
  const char* name;
  asio::awaitable<void> (*run)(pg::connection&, std::string);
  std::size_t cache = 0;
  bool ends_well = false;  ///< never tells a failure
  bool may_spoil = false;  ///< the connection may be unusable afterwards, which the caller has to know
};
const verb verbs[] = {{"exec, no parameter", exec<0>},
                      {"exec, 1 parameter", exec<1>},
                      {"exec, 8 parameters", exec<8>},
                      {"exec, 9 parameters", exec<9>},
                      {"exec, 16 parameters", exec<16>},
                      {"exec, 17 parameters", exec<17>},
                      {"exec, 20 parameters", exec<20>},
                      {"cached exec", cached, 8},
                      {"script", script},
                      {"prepare", prepare},
                      {"stream", stream},
                      {"stream, closed early", stream_closed},
                      {"copy in", copy_in},
                      {"copy out", copy_out},
                      {"atomic pipeline", atomic},
                      {"independent pipeline", independent},
                      {"transaction", transaction},
                      {"nested transaction", nested},
                      {"ping", ping},
                      {"reset, rollback", roll_back, 0, false, true},
                      {"reset, light", reset_light, 0, false, true},
                      {"reset, full", reset_full, 0, false, true},
                      {"close", close, 0, true},
                      {"listener", nullptr, 0, true},
                      {"cancel", cancel, 0, false, true}};

// --- faults -----------------------------------------------------------------------------------------------------------------

enum class expected {
  fine,        ///< as if nothing had been
  told,        ///< the server's error, and the connection is good
  broken,      ///< an error, and the connection is not good
  any,         ///< not a wrong answer, not a good connection that is none, and an end
  never_ends,  ///< the same, after it was cancelled
};
struct fault {
  std::string name;
  expected wanted;
  plan what = {};
  bool foreign = false;  ///< rows of another statement that cannot be told from its own
};

std::string join(const std::vector<std::string>& all, std::size_t from, std::size_t to) {
  std::string out;
  for (std::size_t i = from; i < to; ++i) out += all[i];
  return out;
}
const std::string notice = wire::report('N', "NOTICE", "00000", "by the way");
const std::string fatal = wire::report('E', "FATAL", "XX000", "the end");
const std::string alien = wire::columns({"value"}) + wire::row({"alien"}) + wire::complete("SELECT 1") + wire::ready('I');

/// All that can be done to an answer of these messages. The login, answer 0, has rules of its own.
std::vector<fault> faults_of(const std::vector<std::string>& honest, int number, const verb* of) {
  using end = sent_answer::end;
  const bool login = number == 0;
  const bool answers_follow = of != nullptr && of->run == independent;
  // libpq forgets to free results that a Sync cuts off, and what it had when one of three messages comes at the wrong time.
  const bool leaks_at_sync = sanitized && of != nullptr && (of->run == independent || of->run == atomic || of->run == prepare);
  std::vector<fault> out;
  const auto n = honest.size();
  const bool whole = n > 0 && honest.back()[0] == 'Z';
  // Up to here an end of the answer can be known for one that comes too early; with several statements libpq hides that of a later one.
  const auto completed = [&] {
    std::size_t count = 0;
    std::size_t at = 0;
    for (std::size_t i = 0; i < n; ++i) {
      if (honest[i][0] != 'C') continue;
      if (++count == 1) at = i + 1;
    }
    return std::pair(at, count);
  }();
  const auto add = [&](std::string name, expected wanted, std::function<sent_answer(const std::vector<std::string>&)> act) {
    out.push_back({std::move(name), wanted});
    out.back().what.answer = number;
    // A verb that was cancelled early has other answers.
    out.back().what.fault = [n, act = std::move(act)](const auto& all) {
      return all.size() == n ? act(all) : sent_answer{join(all, 0, all.size())};
    };
  };
  const auto insert = [&](const std::string& name, expected wanted, std::size_t i, const std::string& what, end then, bool rest) {
    add(name + " before message " + std::to_string(i), wanted, [=](const std::vector<std::string>& all) {
      return sent_answer{join(all, 0, i) + what + (rest ? join(all, i, all.size()) : ""), 0, then};
    });
  };

  for (const std::size_t piece : {1U, 2U, 3U, 4U, 5U, 7U, 11U, 13U, 32U, 64U}) {
    add("pieces of " + std::to_string(piece), expected::fine, [piece](const auto& all) {
      return sent_answer{join(all, 0, all.size()), piece, end::go_on};
    });
  }
  if (!login && whole && completed.second > 0) {
    out.push_back({"an error", expected::told});
    out.back().what.answer = number;
    out.back().what.fails = true;
  }
  for (std::size_t i = 0; i <= n; ++i) {
    // Only a notice may come before the answer to the login, and libpq takes none.
    const auto harmless = login && i == 0 ? expected::any : expected::fine;
    insert("notice", harmless, i, notice, end::go_on, true);
    insert("long notice", harmless, i, wire::report('N', "WARNING", "01000", std::string(40000, 'x')), end::go_on, true);
    insert("parameter", harmless, i, wire::parameter("application_name", "other"), end::go_on, true);
    insert("notification", login ? expected::any : expected::fine, i, wire::notification("other", "x"), end::go_on, true);
    for (const auto& [name, value] : std::vector<std::pair<const char*, std::string>>{{"client_encoding", "SJIS"},
                                                                                      {"DateStyle", "German"},
                                                                                      {"standard_conforming_strings", "off"},
                                                                                      {"server_version", std::string(9000, '9')},
                                                                                      {"in_hot_standby", "on"}}) {
      insert(std::string(name) + " changes", expected::any, i, wire::parameter(name, value), end::go_on, true);
    }
    insert("an empty notice", expected::any, i, protocol_message('N', std::string(1, '\0')), end::go_on, true);
    insert("a server that goes down", expected::any, i, wire::report('N', "WARNING", "57P02", "crash of another process"), end::go_on,
           true);
    insert("silence", i < n ? expected::never_ends : expected::any, i, "", end::silence, false);
    for (const auto& [name, filler] :
         std::vector<std::pair<const char*, std::string>>{{"notices", notice},
                                                          {"parameters", wire::parameter("application_name", "x")},
                                                          {"notifications", wire::notification("other", "x")},
                                                          {"rows", wire::row({"alien"})},
                                                          {"copied rows", protocol_message('d', "alien\n")}}) {
      add(std::string("endless ") + name + " before message " + std::to_string(i), i < n ? expected::never_ends : expected::any,
          [i, filler = filler](const auto& all) {
            return sent_answer{join(all, 0, i), 0, end::endless, filler};
          });
      out.back().foreign = std::string_view(name).ends_with("rows");
    }
    for (const char kind : std::string(sanitized ? "~RKvTDCEIZ123nsd\n" : "~RKvTDCEIZ123nsd\nGHWt")) {
      for (const std::string& body : {std::string(), std::string("\0\1", 2), std::string(8, '\xff')}) {
        insert("unexpected " + std::string(1, kind) + " of " + std::to_string(body.size()), expected::any, i, protocol_message(kind, body),
               end::go_on, true);
        out.back().foreign = kind == 'D' || kind == 'd';
      }
    }
    // From here on with words for what must not be told as done.
    const auto fails = i < n ? expected::broken : expected::any;
    insert("FATAL and the end", fails, i, fatal, end::close, false);
    insert("FATAL and silence", i < n ? expected::never_ends : expected::any, i, fatal, end::silence, false);
    insert("PANIC and the end", fails, i, wire::report('E', "PANIC", "XX000", "the end"), end::close, false);
    insert("the end", fails, i, "", end::close, false);
    insert("RST", fails, i, "", end::reset, false);
    insert("an early end of the answer", i < completed.first ? expected::broken : expected::any, i, wire::ready('I'), end::go_on, true);
    insert("another answer", expected::any, i, alien, end::go_on, true);
    out.back().foreign = i < n || answers_follow;
    if (i == n) break;
    const auto number_of = std::to_string(i);
    for (const std::uint32_t size : {0U, 3U, 0x02000000U, 0x7FFFFFFFU, 0xFFFFFFFFU}) {
      if (size == 0x7FFFFFFFU && std::string("TDdANEV").find(honest[i][0]) != std::string::npos) continue;  // libpq would make room for it
      add("length " + std::to_string(size) + " of message " + number_of, expected::broken, [i, size](const auto& all) {
        return sent_answer{join(all, 0, i) + all[i].substr(0, 1) + wire::number(size, 4) + all[i].substr(5) + join(all, i + 1, all.size()),
                           0, end::close};
      });
    }
    const bool has_data = std::string("DdCA").find(honest[i][0]) != std::string::npos;
    for (std::size_t b = 0; !has_data && b + 5 < honest[i].size(); b += 3) {
      add("byte " + std::to_string(b) + " of message " + number_of + " is wrong", expected::any, [i, b](const auto& all) {
        std::string bad = all[i];
        bad[5 + b] = static_cast<char>(bad[5 + b] ^ '\x55');
        return sent_answer{join(all, 0, i) + bad + join(all, i + 1, all.size()), 0, end::go_on};
      });
    }
    add("message " + number_of + " cut", expected::broken, [i](const auto& all) {
      return sent_answer{join(all, 0, i) + all[i].substr(0, all[i].size() / 2), 0, end::close};
    });
    const bool counts = honest[i][0] == 'C' && completed.second == 1;
    add("message " + number_of + " left out", counts ? expected::never_ends : expected::any, [i](const auto& all) {
      return sent_answer{join(all, 0, i) + join(all, i + 1, all.size()), 0, end::go_on};
    });
    const bool leaks = sanitized && std::string("GHt").find(honest[i][0]) != std::string::npos;
    if (leaks) continue;
    add("message " + number_of + " twice", expected::any, [i](const auto& all) {
      return sent_answer{join(all, 0, i + 1) + join(all, i, all.size()), 0, end::go_on};
    });
    if (i + 1 < n) {
      add("messages " + number_of + " and the next swapped", expected::any, [i](const auto& all) {
        return sent_answer{join(all, 0, i) + all[i + 1] + all[i] + join(all, i + 2, all.size()), 0, end::go_on};
      });
    }
  }
  if (leaks_at_sync) {
    std::erase_if(out, [](const fault& f) {
      const bool reorders = f.name.starts_with("message") && f.wanted != expected::broken;
      return reorders || f.name.starts_with("an early end") || f.name.starts_with("another answer") || f.name.starts_with("unexpected Z");
    });
  }
  return out;
}
/// Cut at every byte.
std::vector<fault> cuts_of(const std::vector<std::string>& honest, int number) {
  std::vector<fault> out;
  const auto size = join(honest, 0, honest.size()).size();
  for (std::size_t at = 0; at < size; ++at) {
    for (const auto then : {sent_answer::end::close, sent_answer::end::silence}) {
      out.push_back({"cut at byte " + std::to_string(at), then == sent_answer::end::close ? expected::broken : expected::never_ends});
      out.back().what.answer = number;
      out.back().what.fault = [at, then](const auto& all) { return sent_answer{join(all, 0, all.size()).substr(0, at), 0, then}; };
    }
  }
  return out;
}

// --- one trial --------------------------------------------------------------------------------------------------------------

struct ending {
  bool ended = false;
  bool cancelled = false;
  std::exception_ptr failure;
};

/// Runs it, cancels it after a while, and gives it up when that does not help either.
asio::awaitable<void> bounded(asio::awaitable<void> task, std::chrono::milliseconds patience, ending& out) {
  struct shared {
    explicit shared(const asio::any_io_executor& executor) : timer(executor) {}
    asio::steady_timer timer;
    asio::cancellation_signal stop;
    bool done = false;
    std::exception_ptr failure;
  };
  const asio::any_io_executor executor = co_await asio::this_coro::executor;
  const auto here = std::make_shared<shared>(executor);
  const on_end at_end = [here](std::exception_ptr e) {
    here->done = true;
    here->failure = e;
    here->timer.cancel();
  };
  asio::co_spawn(executor, std::move(task), asio::bind_cancellation_slot(here->stop.slot(), at_end));
  for (const auto limit : {patience, std::chrono::milliseconds(20000)}) {
    if (here->done) break;
    here->timer.expires_after(limit);
    tidepool::error_code ignored;
    co_await here->timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
    if (here->done) break;
    out.cancelled = true;
    here->stop.emit(asio::cancellation_type::terminal);
  }
  out.ended = here->done;
  out.failure = here->failure;
}

std::string words_of(std::exception_ptr failure) {
  if (!failure) return "success";
  try {
    std::rethrow_exception(failure);
  } catch (const std::exception& said) {
    return said.what();
  }
}
bool is_wrong(std::exception_ptr failure) {
  if (!failure) return false;
  try {
    std::rethrow_exception(failure);
  } catch (const wrong_answer&) {
    return true;
  } catch (...) {
    return false;
  }
}
std::string sqlstate_of(std::exception_ptr failure) {
  try {
    if (failure) std::rethrow_exception(failure);
  } catch (const pg::error& said) {
    return std::string(said.sqlstate());
  } catch (...) {
  }
  return {};
}

struct trial {
  const verb* what;  ///< null: connecting alone
  int number;
  fault how;
};

class trial_runner {
 public:
  std::vector<std::string> findings;
  std::size_t trials = 0;

  /// Every verb, or connecting; every `stride`th fault.
  void run(const std::vector<const verb*>& all, std::size_t stride,
           std::function<std::vector<fault>(const std::vector<std::string>&, int, const verb*)> faults) {
    std::vector<trial> queue;
    for (const verb* v : all) {
      const int honest = number_++;
      int logged_in = 0;
      tidepool_tests::run(baseline(v, honest, logged_in));
      const auto answers = server_.answers(honest);
      for (int a = v == nullptr ? 0 : logged_in; a < static_cast<int>(answers.size()) - (v != nullptr && v->ends_well ? 0 : 1); ++a) {
        for (auto& f : faults(answers[static_cast<std::size_t>(a)], a, v)) {
          // A server need not answer the session's first query.
          if (f.wanted == expected::told && (v == nullptr || v->run == nullptr) && a == 1) f.wanted = expected::any;
          if (offset_++ % stride == 0) queue.push_back({v, number_++, std::move(f)});
        }
      }
    }
    trials += queue.size();
    asio::io_context context;
    std::size_t next = 0;
    int done = 0;
    constexpr int workers = 32;
    std::exception_ptr failure;
    for (int i = 0; i < workers; ++i) {
      const on_end at_end = [&](std::exception_ptr e) {
        if (e) failure = e;
        ++done;
      };
      asio::co_spawn(context, work(queue, next), at_end);
    }
    context.run_for(20 * hang);
    if (failure) std::rethrow_exception(failure);
    if (done != workers) throw std::runtime_error("trials hang");
  }

 private:
  /// Every second silence is ended by the options, the others by the caller.
  static bool by_itself(const trial& now) {
    const bool listens = now.what != nullptr && now.what->run == nullptr;  // it may wait for ever
    return !listens && now.number % 2 == 1 && now.how.wanted == expected::never_ends && !now.how.name.starts_with("endless") &&
           !now.how.name.ends_with("left out");
  }
  pg::options options_of(const verb* v, int number, bool limited = false) {
    pg::options out(server_.conninfo(number));
    if (limited) (v == nullptr ? out.address_timeout : out.response_timeout) = 60ms;
    if (v != nullptr) out.statement_cache = v->cache;
    out.close_timeout = out.cancel_timeout = 50ms;
    if (!limited || v != nullptr) out.address_timeout = 10s;
    return out;
  }
  asio::awaitable<void> baseline(const verb* v, int number, int& logged_in) {
    if (v != nullptr && v->run == nullptr) {
      co_await listen(options_of(v, number));
      co_return;
    }
    pg::connection c = co_await pg::connection::connect(options_of(v, number));
    logged_in = static_cast<int>(server_.answers(number).size());
    try {
      if (v != nullptr) co_await v->run(c, "m" + std::to_string(number));
    } catch (const pg::error&) {
      if (v->run != cancel) throw;  // which ends so
    }
    // For Terminate, which the other calls do not wait for.
    co_await c.close();
  }

  asio::awaitable<void> work(const std::vector<trial>& queue, std::size_t& next) {
    while (next < queue.size()) {
      const trial& now = queue[next++];
      server_.expect(now.number, now.how.what);
      co_await run_one(now);
      server_.forget(now.number);
    }
  }
  void find(const trial& now, const std::string& text) {
    if (findings.size() < 4000) {
      findings.push_back(std::string(now.what == nullptr ? "connect" : now.what->name) + ", answer " + std::to_string(now.how.what.answer) +
                         ", " + now.how.name + ": " + text);
    }
  }
  static asio::awaitable<void> connect(pg::options settings, pg::connection& out) {
    out = co_await pg::connection::connect(std::move(settings));
  }

  asio::awaitable<void> run_one(const trial& now) {
    const auto wanted = now.how.wanted;
    const bool limited = by_itself(now);
    const std::chrono::milliseconds patience = limited                          ? 20000ms
                                               : wanted == expected::never_ends ? 40ms
                                               : wanted == expected::any        ? 150ms
                                                                                : 20000ms;
    pg::connection c;
    ending connected;
    if (now.what != nullptr && now.what->run == nullptr) {
      ending came;
      co_await bounded(listen(options_of(now.what, now.number, limited)), patience, came);
      if (!came.ended) throw std::runtime_error("a listener, cancelled, and still there: " + now.how.name);
      if (is_wrong(came.failure)) find(now, words_of(came.failure));
      if (!came.failure && wanted == expected::told) find(now, "told as done");
      if (came.cancelled && (limited || wanted == expected::fine || wanted == expected::told || wanted == expected::broken))
        find(now, "it hangs");
      if (came.failure && (wanted == expected::fine || wanted == expected::broken)) find(now, "failed with " + words_of(came.failure));
      co_return;
    }
    co_await bounded(connect(options_of(now.what, now.number, limited), c), now.what == nullptr ? patience : 20000ms, connected);
    if (now.what != nullptr && connected.failure) co_return find(now, "no connection: " + words_of(connected.failure));
    ending came;
    if (now.what == nullptr) {
      came = connected;
    } else {
      co_await bounded(now.what->run(c, "m" + std::to_string(now.number)), patience, came);
    }
    if (!came.ended)
      throw std::runtime_error("cancelled, and still there: " + std::string(now.what == nullptr ? "connect" : now.what->name) + ", " +
                               now.how.name);
    if (came.cancelled && !server_.met(now.number)) co_return;  // on a busy machine
    const std::string said = words_of(came.failure);
    if (is_wrong(came.failure) && !now.how.foreign) find(now, said);
    const bool tells = now.what == nullptr || !now.what->ends_well;
    if (came.cancelled && (limited || wanted == expected::fine || wanted == expected::told || wanted == expected::broken))
      find(now, "it hangs");
    const bool stopped = now.what != nullptr && now.what->run == cancel;
    if (wanted == expected::fine && came.failure && !(stopped && sqlstate_of(came.failure) == "57014")) find(now, "failed with " + said);
    if (tells && !came.failure && (wanted == expected::told || wanted == expected::broken || wanted == expected::never_ends))
      find(now, "told as done");
    if (wanted == expected::told && came.failure && !stopped && sqlstate_of(came.failure) != "22012") find(now, "told as " + said);
    if (c) co_await look_after(now, c, came);
  }

  /// What the connection says of itself, and what it is.
  asio::awaitable<void> look_after(const trial& now, pg::connection& c, const ending& came) {
    const auto wanted = now.how.wanted;
    const bool may_spoil = now.what != nullptr && now.what->may_spoil;
    // Every third one is used on without any question, as the same lease is.
    const bool blind = now.number % 3 == 2;
    const bool clean = !blind && c.after_lease() == tidepool::lease_end::clean;
    const bool looks = now.number % 3 == 0;
    // Answers that move up by one are those of other statements, and the last of them comes at any time.
    if (now.how.foreign && now.what != nullptr && now.what->run == independent) co_return;
    const bool usable = looks && c.usable();
    if (wanted == expected::fine && !clean && !blind && !may_spoil) find(now, "the connection is not clean");
    if (wanted == expected::told && !clean && !blind && !may_spoil) find(now, "the connection is not clean");
    if ((wanted == expected::broken || wanted == expected::never_ends) && came.failure && !may_spoil && (clean || usable)) {
      find(now, "a dirty connection is called " + std::string(clean ? "clean" : "usable"));
    }
    if (looks && !usable) co_return;
    const std::string mark = "n" + std::to_string(now.number);
    ending second;
    co_await bounded(exec<0>(c, mark), 150ms, second);
    if (!second.ended) throw std::runtime_error("cancelled, and still there: the next statement after " + now.how.name);
    if (is_wrong(second.failure)) find(now, "next statement: " + words_of(second.failure));
    // What cannot be seen before the next statement: a server that will be silent, half a message, an end on its way.
    bool unseen = false;
    for (const char* how : {"silence", "endless", "cut", "unexpected E", "client_encoding"})
      unseen = unseen || now.how.name.starts_with(how);
    for (const char* how : {"FATAL and the end", "PANIC and the end", "the end", "RST"}) {
      unseen = unseen || (wanted == expected::any && now.how.name.starts_with(how));
    }
    if (usable && second.failure && !unseen && !second.cancelled) find(now, "usable, and then: " + words_of(second.failure));
  }

  scripted_server server_;
  int number_ = 1;
  std::size_t offset_ = 0;
};

/// Every place in a long run (TIDEPOOL_LONG), every 17th one else.
std::size_t stride() { return std::getenv("TIDEPOOL_LONG") == nullptr ? 17 : 1; }
std::string list(const std::vector<std::string>& all) {
  std::string out;
  for (const auto& one : all) out += one + "\n";
  return out;
}

std::vector<const verb*> every_verb() {
  std::vector<const verb*> out{nullptr};
  for (const auto& v : verbs) out.push_back(&v);
  return out;
}

}  // namespace

TEST_CASE("given a server that breaks the protocol anywhere, when any verb runs, then nothing wrong is told", "[field-machine]") {
  trial_runner all;
  all.run(every_verb(), stride(), faults_of);
  INFO(all.trials << " trials");
  CHECK(list(all.findings) == "");
}

TEST_CASE("given a server that falls silent at any byte, when any verb runs, then it ends and tells it", "[field-machine]") {
  trial_runner all;
  all.run(every_verb(), stride(), [](const std::vector<std::string>& honest, int number, const verb*) { return cuts_of(honest, number); });
  CHECK(list(all.findings) == "");
}

TEST_CASE("given answers cut short, too many or of another kind, when a verb ends, then they are no success", "[field-machine]") {
  const auto misleading = [](const std::vector<std::string>& honest, int number, const verb* of) {
    std::vector<fault> out;
    for (auto& f : faults_of(honest, number, of)) {
      for (const char* how : {"an early end", "another answer", "unexpected I", "unexpected Z", "message "}) {
        if (!f.name.starts_with(how)) continue;
        out.push_back(std::move(f));
        break;
      }
    }
    return out;
  };
  std::vector<const verb*> some;
  for (const auto& v : verbs) {
    for (const auto run : {exec<0>, cached, copy_in, stream_closed, atomic}) {
      if (v.run == run) some.push_back(&v);
    }
  }
  trial_runner all;
  all.run(some, 1, misleading);
  CHECK(all.trials > 200);
  CHECK(list(all.findings) == "");
}
