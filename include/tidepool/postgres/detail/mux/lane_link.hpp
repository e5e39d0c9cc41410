// SPDX-License-Identifier: BSL-1.0
// tidepool - a lane's connection: a lease of the pool whose session is in libpq's pipeline mode.
//
// Behind a pooler that may give each transaction another server process nothing is set and, unless it tracks them, nothing prepared: there
// each group of a read lane is a transaction of its own between BEGIN READ ONLY and COMMIT. When a statement of it fails, a ROLLBACK
// follows; groups that were on their way until then are skipped by the server, and sent again.
//
// Statements are prepared on the lane at their first use, in the group of that use, and closed before the lease ends.
#ifndef TIDEPOOL_POSTGRES_DETAIL_MUX_LANE_LINK_HPP
#define TIDEPOOL_POSTGRES_DETAIL_MUX_LANE_LINK_HPP

#include <exception>
#include <functional>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../../../version.hpp"
#include "../../connection.hpp"
#include "../execute.hpp"
#include "../result_origin.hpp"
#include "engine.hpp"
#include "known_texts.hpp"
#include "lane_commands.hpp"
#include "lane_session.hpp"
#include "shared_statement.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail::mux {

template <class Pool>
class lane_link : private lane_session<Pool> {
  using base = lane_session<Pool>;
  using base::session_, base::input_, base::framed_, base::names_;

 public:
  using payload = shared_statement;
  using base::shut, base::wanted;
  using typename base::lease;
  using typename base::source;
  static constexpr bool judges = source::judges;
  using base::fits;

  lane_link(source from, lease held, std::shared_ptr<known_texts> texts, asio::any_io_executor executor)
      : base(std::move(from), std::move(held), std::move(executor)), texts_(std::move(texts)) {}

  /// Takes a connection and makes it a lane. One that proves dead then is replaced by the next, as an acquire does it.
  static asio::awaitable<std::unique_ptr<lane_link>> open(source from, std::shared_ptr<known_texts> texts, asio::any_io_executor executor,
                                                          lane_kind kind) {
    for (int attempt = 1;; ++attempt) {
      auto asked = from.acquire(kind);
      auto held = co_await std::move(asked);
      held.label(kind == lane_kind::read ? "multiplexer, reads" : "multiplexer, writes");
      auto made = std::make_unique<lane_link>(from, std::move(held), texts, executor);
      try {
        co_await made->become(kind);
        co_return made;
      } catch (const error& failure) {
        if (!failure.connection_lost() || attempt == most_attempts) throw;
      }
      made->shut();
    }
  }

  // --- sending ----------------------------------------------------------------------------------------------------------------------

  put_result put(shared_statement& one) {
    one.got = result();
    one.failure = nullptr;
    PGconn* const pg = session_->pg();
    // Behind the last of these messages: its Sync, and what may follow that.
    commands_.make_room(most_for_one + most_behind);
    if (framed_ && !std::exchange(frame_open_, true) && !send_plain("begin read only", {command::kind::frame})) return lost();
    const std::size_t before = commands_.size();
    const bool named = one.text != nullptr && one.text->named && names_ && !one.by_text;
    if (named) {
      if (!prepare(*one.text)) return lost();
      one.sent_as = one.text->generation;
      one.sent_id = one.text->id;
      one.what.use_statement(one.text->name.data());
    } else {
      one.sent_as = 0;
      one.what.use_text();
    }
    session_->note_sent_size(one.what.size());
    if (one.what.send(pg)) {
      commands_.push_back({command::kind::statement});
      return put_result::sent;
    }
    if (PQstatus(pg) != CONNECTION_OK || commands_.size() != before) return lost();
    const std::string why(first_line(PQerrorMessage(pg)));
    one.failure = std::make_exception_ptr(error(errc::bad_usage, "libpq refuses the statement: " + printable(why, 200)));
    return put_result::refused;
  }
  bool sync() {
    if (std::exchange(frame_open_, false) && !send_plain("commit", {command::kind::frame})) return false;
    return send_sync(command::kind::sync);
  }
  bool flush() {
    const int left = PQflush(session_->pg());
    if (left > 0) input_.wait_writable(*session_);
    return left >= 0;
  }

  // --- receiving --------------------------------------------------------------------------------------------------------------------

  template <class Sink>
  bool receive(Sink& to) {
    session& s = *session_;
    PGconn* const pg = s.pg();
    const bool alive = PQconsumeInput(pg) == 1;
    s.take_notifications();
    if (alive && !flush()) return false;
    while (PQisBusy(pg) == 0) {
      result_handle got(PQgetResult(pg));
      if (commands_.empty()) {
        if (!got) break;
        s.broken = true;  // an answer to nothing
        return false;
      }
      if (!take(std::move(got), to)) return false;
    }
    (void)s.sound();
    s.last_answer = clock::real_now();
    if (encoding_turned_unsafe(s) || !this->keeps_its_kind()) return false;
    if (!alive || s.broken || PQstatus(pg) != CONNECTION_OK) return false;
    input_.wait_readable(s);
    return true;
  }
  void start(std::function<void()> input) {
    input_.start(*session_, std::move(input));
    input_.wait_readable(*session_);
  }

  // --- its life ---------------------------------------------------------------------------------------------------------------------

  asio::awaitable<void> turn(lane_kind kind) {
    if constexpr (judges) {
      co_await leave();
      throw error(errc::connection_lost, "this lane is for one kind of statement");
    } else {
      this->leave_pipeline(commands_.empty());
      co_await this->become(kind);
    }
  }
  asio::awaitable<void> leave() {
    std::string tidy;
    bool clean = commands_.empty();
    try {
      // A pooler that tracks statements does not follow SQL: there they stay, for the next lane on this connection.
      for (const auto& one : prepared_) {
        if (one.generation != 0 && !session_->pooled) tidy += std::string("deallocate ") + one.id.text().data() + ";";
      }
    } catch (const std::bad_alloc&) {
      clean = false;
    }
    co_await this->give_back(std::move(tidy), clean);
  }

 private:
  static constexpr int most_attempts = 20;
  using command = lane_command;
  static constexpr std::size_t most_for_one = 4;  ///< BEGIN, close, prepare, and the statement
  static constexpr std::size_t most_behind = 4;   ///< COMMIT, Sync, ROLLBACK, Sync

  put_result lost() noexcept {
    session_->broken = true;
    return put_result::lost;
  }

  // --- statements that are prepared
  bool send_plain(const char* sql, const command& what) noexcept {
    if (PQsendQueryParams(session_->pg(), sql, 0, nullptr, nullptr, nullptr, nullptr, 0) != 1) return false;
    commands_.push_back(what);
    return true;
  }
  bool send_sync(command::kind what) noexcept {
    commands_.push_back({what});
#ifdef LIBPQ_HAS_SEND_PIPELINE_SYNC
    return PQsendPipelineSync(session_->pg()) == 1;
#else
    return PQpipelineSync(session_->pg()) == 1;
#endif
  }
  bool prepare(const known_text& text) {
    if (text.place >= prepared_.size()) prepared_.resize(text.place + 1);
    auto& has = prepared_[text.place];
    if (has.generation == text.generation) return true;
    PGconn* const pg = session_->pg();
    if (session_->pooled) {
      has = {text.generation, text.id};
      if (!session_->name_at_pooler(text.id)) return true;
    } else if (has.generation != 0) {
      const command close{command::kind::close, text.place, has};
#ifdef LIBPQ_HAS_CLOSE_PREPARED
      if (PQsendClosePrepared(pg, has.id.text().data()) != 1) return false;
      commands_.push_back(close);
#else
      if (!send_plain((std::string("deallocate ") + has.id.text().data()).c_str(), close)) return false;
#endif
    }
    if (PQsendPrepare(pg, text.name.data(), text.sql.c_str(), static_cast<int>(text.types.size()), text.types.data()) != 1) return false;
    has = {text.generation, text.id};
    commands_.push_back({command::kind::prepare, text.place, has});
    return true;
  }
  void forget(std::uint32_t place, std::uint32_t generation) noexcept {
    if (place < prepared_.size() && prepared_[place].generation == generation) prepared_[place] = {};
  }

  // --- answers
  /// One result of libpq, or the end of a command. False: the connection is dead, or out of step.
  template <class Sink>
  bool take(result_handle got, Sink& to) {
    const command& now = commands_.front();
    if (!got) return end_of(now, to);
    ends_ = 0;
    switch (PQresultStatus(got.get())) {
      case PGRES_PIPELINE_SYNC: {
        if (now.what == command::kind::own_sync) {
          commands_.pop_front();
          first_.reset();
          return !held_ || to.synced(*std::exchange(held_, std::nullopt)) || out_of_step();
        }
        if (now.what != command::kind::sync) return out_of_step();
        if (session_->unreplicated)
          return out_of_step();  // what was committed may be lost with this server: nobody is told that it was done
        commands_.pop_front();
        failure_of_prepare_.reset();
        failed_close_ = exists_ = false;
        // A transaction that a statement has left open would swallow those of other callers. While more is under way libpq does not tell.
        const auto state = PQtransactionStatus(session_->pg());
        const bool allowed = state == PQTRANS_IDLE || state == PQTRANS_ACTIVE || (framed_ && state == PQTRANS_INERROR);
        if (!allowed) return out_of_step();
        if (!first_) first_ = std::move(failure_of_frame_);
        failure_of_frame_.reset();
        bool failed = false;
        if (first_) {
          if (auto* const asker = to.only()) asker->failure = make_failure(*asker, std::exchange(first_, {}).get());
          first_.reset();
          failed = true;
        }
        if (framed_ && std::exchange(frame_failed_, false) && !rolls_back_) {
          rolls_back_ = send_plain("rollback", {command::kind::rollback}) && send_sync(command::kind::own_sync) && flush();
          if (!rolls_back_) return out_of_step();
        }
        // The last group before it ends with it: then a lane without statements has nothing under way, and one of depth 1 has one Sync.
        if (rolls_back_ && commands_.front().what == command::kind::rollback) {
          held_ = failed;
          return true;
        }
        return to.synced(failed) || out_of_step();
      }
      case PGRES_PIPELINE_ABORTED: skipped_ = true; return true;
      case PGRES_COPY_IN:
      case PGRES_COPY_OUT:
      case PGRES_COPY_BOTH: return out_of_step();
      case PGRES_BAD_RESPONSE:
      case PGRES_NONFATAL_ERROR:
      case PGRES_FATAL_ERROR: {
        auto said = diagnosis::of(got.get());
        if (said.fatal() || said.sqlstate.empty()) {
          if (session_->fatal.message.empty()) session_->note_fatal(std::move(said));
          session_->broken = true;
          return false;
        }
        if (!first_) first_ = std::move(got);
        return true;
      }
      default:
        if (now.what == command::kind::sync || now.what == command::kind::own_sync) return out_of_step();
        session_->note_size(got.get());
        good_ = std::move(got);
        return true;
    }
  }
  template <class Sink>
  bool end_of(const command& now, Sink& to) {
    if (!good_ && !first_ && !skipped_) return ++ends_ <= 2 || out_of_step();
    switch (now.what) {
      case command::kind::frame:
        frame_failed_ = frame_failed_ || first_;
        if (first_) failure_of_frame_ = std::move(first_);
        break;
      case command::kind::rollback: rolls_back_ = false; break;
      case command::kind::own_sync:
      case command::kind::sync: return true;  // the end of an error of the Sync itself, which follows
      case command::kind::close:
        if (skipped_) unclosed_ = now.which;
        failed_close_ = static_cast<bool>(first_);  // the server did not have it, and skips what follows
        break;
      case command::kind::prepare:
        if (!good_) {
          const bool there = first_ && is_state(first_.get(), "42P05");
          exists_ = there && now.place < prepared_.size() && prepared_[now.place].generation == now.which.generation;
          if (!exists_ && !session_->pooled) forget(now.place, now.which.generation);
          // The one before it is still there.
          if (unclosed_.generation != 0 && now.place < prepared_.size() && prepared_[now.place].generation == 0)
            prepared_[now.place] = unclosed_;
        }
        unclosed_ = {};
        if (first_) failure_of_prepare_ = std::move(first_);
        break;
      case command::kind::statement: {
        const auto what = answer_to(to.next());
        frame_failed_ = frame_failed_ || what == answer::failed || what == answer::stale;
        if (!to.answered(what)) return out_of_step();
        break;
      }
    }
    commands_.pop_front();
    good_.reset();
    first_.reset();
    skipped_ = false;
    return true;
  }
  answer answer_to(shared_statement* asker) {
    if (good_) {
      const char* const tag = PQcmdStatus(good_.get());
      if (*tag == 'R' || (*tag <= 'D' && *tag != 'B')) note_tag(tag);
      if (asker != nullptr) {
        if (session_->settings().statement_in_errors) note_origin_of(*asker);
        asker->got = result(std::move(good_));
        if (asker->absorb != nullptr && asker->absorb(*asker)) asker->got = result();
      }
      return answer::good;
    }
    // The pooler has it from an earlier lane: its name means the same text.
    if (std::exchange(exists_, false)) {
      failure_of_prepare_.reset();
      return answer::stale;
    }
    if (std::exchange(failed_close_, false)) {
      failure_of_prepare_.reset();
      if (asker != nullptr) asker->by_text = true;
      return answer::stale;
    }
    if (failure_of_prepare_) {
      const auto why = std::exchange(failure_of_prepare_, {});
      if (asker != nullptr) {
        // A pooler that has heard its name once takes it for prepared.
        if (session_->pooled) asker->text->named = false;
        asker->failure = make_failure(*asker, why.get());
      }
      return answer::failed;
    }
    if (!first_) return answer::skipped;
    if (asker == nullptr) return answer::failed;
    return failed(*asker, *first_);
  }
  static bool is_state(const PGresult* of, std::string_view state) noexcept {
    const char* const said = PQresultErrorField(of, PG_DIAG_SQLSTATE);
    return said != nullptr && state == said;
  }
  answer failed(shared_statement& asker, const PGresult& why) {
    asker.failure = make_failure(asker, &why);
    if (asker.sent_as == 0) return answer::failed;
    try {
      std::rethrow_exception(asker.failure);
    } catch (const error& said) {
      if (!has_not_run(said, asker.sent_id.text().data(), asker.what.infers_types())) return answer::failed;
      if (said.is("26000")) forget(asker.text->place, asker.sent_as);
    } catch (...) {
      return answer::failed;
    }
    asker.by_text = true;
    // The next use prepares it again, under another name, and closes this one.
    if (asker.text->generation == asker.sent_as) texts_->renew(*asker.text);
    asker.failure = nullptr;
    return answer::stale;
  }
  std::exception_ptr make_failure(const shared_statement& asker, const PGresult* why) {
    session& s = *session_;
    auto said = diagnosis::of(why);
    s.current = &asker.what;
    std::string words = s.explain(said);
    s.current = nullptr;
    if (said.read_only()) words = s.reads_only ? std::string("the statement was run as a read, and writes: use exec()") : refused_write(s);
    return std::make_exception_ptr(error(errc::server, words, std::move(said)));
  }
  void note_origin_of(const shared_statement& asker) {
    session_->current = &asker.what;
    note_origin(*session_, good_.get());
    session_->current = nullptr;
  }
  void note_tag(std::string_view tag) {
    command_tags tags;
    tags.take(tag);
    if (tags.any()) texts_->outdate();
  }
  bool out_of_step() noexcept {
    session_->broken = true;
    return false;
  }

  std::shared_ptr<known_texts> texts_;
  lane_commands commands_;                    ///< whose answers are awaited
  std::vector<prepared_statement> prepared_;  ///< by place
  result_handle good_;                        ///< of the command that is answered now
  result_handle first_;                       ///< its first error
  result_handle failure_of_prepare_;          ///< the error of the statement that follows
  prepared_statement unclosed_ = {};          ///< one whose close was skipped, until the prepare behind it is answered
  bool failed_close_ = false;
  bool exists_ = false;        ///< a prepare failed because the server has it
  bool frame_open_ = false;    ///< BEGIN was sent
  bool frame_failed_ = false;  ///< the group that is answered has failed, and has to be rolled back
  bool rolls_back_ = false;    ///< that is on its way
  std::optional<bool> held_;   ///< a group ends with it: `synced()` of that
  result_handle failure_of_frame_;
  bool skipped_ = false;
  int ends_ = 0;
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail::mux

#endif
