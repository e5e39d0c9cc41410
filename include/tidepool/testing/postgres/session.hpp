// SPDX-License-Identifier: BSL-1.0
// tidepool - one session of a scripted server: the protocol, the state of the transaction, and the script's answers.
#ifndef TIDEPOOL_TESTING_POSTGRES_SESSION_HPP
#define TIDEPOOL_TESTING_POSTGRES_SESSION_HPP

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "../../version.hpp"
#include "answer_wire.hpp"
#include "own_answers.hpp"
#include "server_core.hpp"
#include "session_link.hpp"
#include "sql_kind.hpp"
#include "wire.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::testing::detail {

class server_session : public session_link {
 public:
  using session_link::session_link;

  /// Serves the session to its end.
  static asio::awaitable<void> serve(std::shared_ptr<server_session> self) {
    try {
      const auto logged_in = co_await self->log_in();
      bool more = logged_in;
      while (more) {
        const std::string head = co_await self->read(5);
        const std::string said = co_await self->read(wire::reader(std::string_view(head).substr(1)).number(4) - 4);
        more = co_await self->handle(head[0], said);
      }
    } catch (const system_error&) {  // the client has gone, or the server was stopped
    }
    self->core_->sessions.erase(self->id_);
    self->handle_->close();
  }

 private:
  struct parsed {
    std::string sql;
    std::vector<std::uint32_t> types;
  };
  struct bound {
    std::string sql;
    std::vector<std::optional<std::string>> parameters;
  };

  /// One message of the client. False: the session has ended.
  asio::awaitable<bool> handle(char kind, std::string said) {
    wire::reader at(said);
    bool goes_on = true;
    switch (kind) {
      case 'X': co_return false;
      case 'Q': goes_on = co_await simple(at.text()); break;
      case 'P':
        if (!skips_) parse(at);
        break;
      case 'B':
        if (!skips_) bind(at);
        break;
      case 'D':
        if (!skips_ && !at.at_end() && said[0] == 'S') describe(said.substr(1, said.size() - 2));
        break;
      case 'E':
        if (!skips_) goes_on = co_await run(portal_.sql, portal_.parameters, false);
        break;
      case 'C':
        if (!skips_) close(at);
        break;
      case 'S':
        skips_ = false;
        out_ += wire::ready(state_);
        co_await flush();
        break;
      case 'H': co_await flush(); break;
      case 'd': copied_ += said; break;
      case 'c':
      case 'f': co_await end_copy(kind == 'c'); break;
      default: fail(report_of("FATAL", "08P01", "fake_postgres: a message that it does not know")); goes_on = false;
    }
    if (!goes_on) {
      if (!lost_) co_await flush();
      co_return false;
    }
    co_return true;
  }

  void parse(wire::reader at) {
    const std::string name = at.text();
    parsed made{at.text(), {}};
    const auto count = at.number(2);
    for (std::uint32_t i = 0; i < count; ++i) made.types.push_back(at.number(4));
    prepared_.insert_or_assign(name, std::move(made));
    out_ += wire::message('1', "");
  }
  void bind(wire::reader at) {
    (void)at.text();
    const std::string name = at.text();
    const auto found = prepared_.find(name);
    if (found == prepared_.end()) return fail(report_of("ERROR", "26000", "prepared statement \"" + name + "\" does not exist"));
    std::vector<std::uint32_t> formats(at.number(2));
    for (auto& each : formats) each = at.number(2);
    portal_ = bound{found->second.sql, {}};
    const auto count = at.number(2);
    for (std::uint32_t i = 0; i < count; ++i) {
      const auto size = at.number(4);
      if (size == 0xFFFFFFFF) {
        portal_.parameters.emplace_back();
        continue;
      }
      const auto value = at.take(size);
      const auto format = formats.empty() ? 0 : formats.size() == 1 ? formats[0] : i < formats.size() ? formats[i] : 0;
      portal_.parameters.emplace_back(format == 1 ? hex_of(value) : std::string(value));
    }
    out_ += wire::message('2', "");
  }
  void describe(const std::string& name) {
    const auto found = prepared_.find(name);
    if (found == prepared_.end()) return fail(report_of("ERROR", "26000", "prepared statement \"" + name + "\" does not exist"));
    const auto count = parameters_of(found->second.sql);
    const auto told = core_->script.types_of(found->second.sql);
    // The driver does not check types of users, which is right where nothing is known of the type.
    constexpr Oid not_known = tidepool::postgres::detail::type_oid::first_of_users;
    std::string types = wire::count(count);
    for (std::size_t i = 0; i < count; ++i) {
      Oid type = i < found->second.types.size() ? found->second.types[i] : 0;
      if (type == 0 && i < told.size()) type = told[i];
      types += wire::number(type == 0 ? not_known : type, 4);
    }
    out_ += wire::message('t', types) + wire::message('n', "");
  }
  void close(wire::reader at) {
    if (at.take(1) == "S") prepared_.erase(at.text());
    out_ += wire::message('3', "");
  }

  /// A text of the simple protocol: as a whole where the script, or the driver, has it so; else statement by statement.
  asio::awaitable<bool> simple(std::string text) {
    const auto parts = statements_of(text);
    if (parts.empty()) {
      out_ += wire::message('I', "");
    } else if (auto own = own_answer_to(text)) {
      write(*own, text, true);
    } else if (parts.size() == 1 || is_expected_whole(text)) {
      const bool alive = co_await run(std::move(text), {}, true);
      if (!alive) co_return false;
    } else {
      for (const auto& part : parts) {
        const bool alive = co_await run(part, {}, true);
        if (!alive) co_return false;
        if (skips_) break;
      }
    }
    if (copying_) {
      co_await flush();
      co_return true;
    }
    skips_ = false;
    out_ += wire::ready(state_);
    co_await flush();
    co_return true;
  }
  bool is_expected_whole(const std::string& text) const { return core_->script.expects(statement_of(text, {})); }

  sql_statement statement_of(std::string sql, std::vector<std::optional<std::string>> parameters) const {
    sql_statement out;
    out.sql = std::move(sql);
    out.parameters = std::move(parameters);
    out.session = id_;
    out.in_transaction = state_ != 'I';
    return out;
  }

  /// Runs one statement. False: the session has ended.
  asio::awaitable<bool> run(std::string sql, std::vector<std::optional<std::string>> parameters, bool is_simple) {
    if (auto own = own_answer_to(sql)) {
      write(*own, sql, is_simple);
      co_return true;
    }
    const auto kind = control_of(sql);
    const auto got = statement_of(sql, std::move(parameters));
    const auto number = core_->script.record(got);
    const bool ends = kind == control::commit || kind == control::rollback || kind == control::rollback_to;
    if (state_ == 'E' && !ends) {
      fail(report_of("ERROR", "25P02", "current transaction is aborted, commands ignored until end of transaction block"));
      core_->script.answered(number, "25P02");
      co_return true;
    }
    auto reply = core_->script.reply(got, kind != control::none);
    if (!reply.refusal.empty()) reply.data.failure = report_of("ERROR", "XX000", reply.refusal);
    const auto& say = reply.data;
    for (const auto& each : say.notices) out_ += wire::report('N', each);
    for (const auto& [channel, payload] : say.notifications) out_ += wire::notification(channel, payload);
    if (say.latency > duration::zero() || say.silent) {
      co_await flush();
      const bool alive = co_await pause(say.silent ? std::chrono::hours(24 * 365) : say.latency, say.silent);
      if (!alive) co_return false;
      if (handle_->cancelled) {
        fail(report_of("ERROR", "57014", "canceling statement due to user request"));
        core_->script.answered(number, "57014");
        co_return true;
      }
    }
    if (say.lost == loss::before) {
      lost_ = true;
      co_return false;
    }
    if (say.failure) {
      fail(*say.failure);
      core_->script.answered(number, say.failure->at('C'));
      if (kind == control::commit) state_ = 'I';  // a commit that fails has rolled back
      co_return say.failure->at('V') == "ERROR";
    }
    const bool rolled_back = kind == control::commit && state_ == 'E';
    apply(kind, sql);
    if (say.lost == loss::after) {
      core_->script.answered(number, "");
      lost_ = true;
      co_return false;
    }
    const auto copy = tidepool::postgres::detail::copy_kind_of(sql);
    if (copy == tidepool::postgres::detail::copy_kind::from_client || copy == tidepool::postgres::detail::copy_kind::to_client) {
      if (!is_simple) {
        fail(report_of("ERROR", "0A000", "fake_postgres: COPY is served to copy_in() and copy_out() only"));
        core_->script.answered(number, "0A000");
      } else if (copy == tidepool::postgres::detail::copy_kind::from_client) {
        begin_copy(number, say);
      } else {
        core_->script.answered(number, copy_out(say));
      }
      co_return true;
    }
    core_->script.answered(number, rolled_back ? write_tag("ROLLBACK", is_simple) : write(say, sql, is_simple));
    co_return true;
  }

  void apply(control kind, std::string_view sql) {
    switch (kind) {
      case control::begin: state_ = 'T'; break;
      case control::rollback_to: state_ = 'T'; break;
      case control::commit:
      case control::rollback: state_ = chains(sql) ? 'T' : 'I'; break;
      case control::prepare_transaction: state_ = 'I'; break;
      default: break;
    }
  }
  void fail(const error_fields& why) {
    out_ += wire::report('E', why);
    skips_ = true;
    if (state_ == 'T') state_ = 'E';
  }
  /// Returns the tag.
  std::string write(const answer_data& say, std::string_view sql, bool is_simple) {
    if (say.has_rows) {
      out_ += wire::columns(say);
      for (const auto& each : say.rows) out_ += wire::row(each);
    } else if (!is_simple) {
      out_ += wire::message('n', "");
    }
    const std::string tag = say.tag.empty() ? tag_of(sql, say.affected.value_or(say.rows.size())) : say.tag;
    out_ += wire::complete(tag);
    return tag;
  }
  std::string write_tag(std::string tag, bool is_simple) {
    if (!is_simple) out_ += wire::message('n', "");
    out_ += wire::complete(tag);
    return tag;
  }

  void begin_copy(std::size_t number, const answer_data& say) {
    copying_ = number;
    copied_.clear();
    copy_answer_ = say;
    out_ += wire::message('G', std::string(1, '\0') + wire::count(1) + wire::count(0));
  }
  asio::awaitable<void> end_copy(bool done) {
    if (!copying_) co_return;
    const auto number = *std::exchange(copying_, std::nullopt);
    if (done) {
      const auto rows = static_cast<std::uint64_t>(std::count(copied_.begin(), copied_.end(), '\n'));
      out_ += wire::complete("COPY " + std::to_string(copy_answer_.affected.value_or(rows)));
      core_->script.answered(number, "COPY", std::exchange(copied_, {}));
    } else {
      fail(report_of("ERROR", "57014", "COPY from stdin failed"));
      core_->script.answered(number, "57014");
    }
    skips_ = false;
    out_ += wire::ready(state_);
    co_await flush();
  }
  std::string copy_out(const answer_data& say) {
    const auto columns = say.columns.size();
    std::string formats;
    for (std::size_t i = 0; i < columns; ++i) formats += wire::count(0);
    out_ += wire::message('H', std::string(1, '\0') + wire::count(columns) + formats);
    for (const auto& each : say.rows) out_ += wire::copied_row(each);
    const std::string tag = "COPY " + std::to_string(say.rows.size());
    out_ += wire::message('c', "") + wire::complete(tag);
    return tag;
  }

  char state_ = 'I';    ///< as ReadyForQuery tells it: idle, in a transaction, in a failed one
  bool skips_ = false;  ///< after an error, up to the next Sync
  bool lost_ = false;   ///< what is still to be sent is lost with the connection
  std::map<std::string, parsed> prepared_;
  bound portal_;
  std::optional<std::size_t> copying_;  ///< the record's number of the COPY that takes rows
  std::string copied_;
  answer_data copy_answer_;
};

inline void server_core::accept() {
  acceptor_->async_accept([weak = weak_from_this()](error_code failure, server_socket socket) {
    const auto self = weak.lock();
    if (failure || !self || !self->acceptor_) return;
    asio::co_spawn(self->executor, server_session::serve(std::make_shared<server_session>(self, std::move(socket))), asio::detached);
    self->accept();
  });
}

inline void server_core::end_sessions(const error_fields& why) {
  const auto open = sessions;
  for (const auto& [id, each] : open) {
    const auto session = each.lock();
    if (!session) continue;
    error_code ignored;
    session->socket.non_blocking(true, ignored);  // a client that does not read does not get it
    (void)asio::write(session->socket, asio::buffer(wire::report('E', why)), ignored);
    session->close();
  }
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::testing::detail

#endif
