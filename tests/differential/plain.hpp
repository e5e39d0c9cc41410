// SPDX-License-Identifier: BSL-1.0
// tidepool - the measure: libpq itself, in its blocking calls.
#ifndef TIDEPOOL_TESTS_DIFFERENTIAL_PLAIN_HPP
#define TIDEPOOL_TESTS_DIFFERENTIAL_PLAIN_HPP

#include <libpq-fe.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "observation.hpp"

namespace tidepool_differential {

using result_ptr = std::unique_ptr<PGresult, decltype(&PQclear)>;
inline result_ptr own(PGresult* raw) { return {raw, &PQclear}; }

/// Between values, rows, notices; and in place of NULL. No text of the suite holds them.
inline constexpr char value_end = '\x1f', row_end = '\x1e', null_mark = '\x01';

inline std::string diagnostic(const PGresult* from, int code) {
  const char* text = PQresultErrorField(from, code);
  return text == nullptr ? "" : text;
}
inline std::string notice_text(const std::string& severity, const std::string& sqlstate, const std::string& message,
                               const std::string& detail, const std::string& hint) {
  return severity + ' ' + sqlstate + ": " + message + " | " + detail + " | " + hint + row_end;
}
inline std::string transaction_state(PGconn* of) {
  switch (PQtransactionStatus(of)) {
    case PQTRANS_IDLE: return "idle";
    case PQTRANS_INTRANS: return "in a transaction";
    case PQTRANS_INERROR: return "in a failed transaction";
    case PQTRANS_ACTIVE: return "active";
    default: return "unknown";
  }
}

/// What a result says. The first error of several results counts, else the last result.
inline void take(observation& seen, const PGresult* from) {
  if (seen.failed()) return;
  seen[part::tag] = PQcmdStatus(const_cast<PGresult*>(from));
  seen[part::columns].clear();
  seen[part::cells].clear();
  switch (PQresultStatus(from)) {
    case PGRES_EMPTY_QUERY: seen[part::kind] = "empty"; return;
    case PGRES_COMMAND_OK: seen[part::kind] = "command"; return;
    case PGRES_TUPLES_OK: break;
    case PGRES_PIPELINE_ABORTED: seen[part::kind] = "not run"; return;
    default:
      seen[part::sqlstate] = diagnostic(from, PG_DIAG_SQLSTATE);
      seen[part::severity] = diagnostic(from, PG_DIAG_SEVERITY_NONLOCALIZED);
      seen[part::message] = diagnostic(from, PG_DIAG_MESSAGE_PRIMARY);
      seen[part::kind] = seen[part::sqlstate].empty() || seen[part::severity] != "ERROR" ? "lost" : "error";
      seen[part::tag].clear();
      return;
  }
  seen[part::kind] = "rows";
  for (int c = 0; c < PQnfields(from); ++c) {
    seen[part::columns] += std::string(PQfname(from, c)) + ' ' + std::to_string(PQftype(from, c)) + value_end;
  }
  for (int r = 0; r < PQntuples(from); ++r) {
    for (int c = 0; c < PQnfields(from); ++c) {
      if (PQgetisnull(from, r, c) == 1) {
        seen[part::cells] += null_mark;
      } else {
        seen[part::cells].append(PQgetvalue(from, r, c), static_cast<std::size_t>(PQgetlength(from, r, c)));
      }
      seen[part::cells] += value_end;
    }
    seen[part::cells] += row_end;
  }
}

/// One connection of libpq's.
class plain_side {
 public:
  enum class protocol { simple, extended };

  explicit plain_side(const std::string& conninfo) : connection_(PQconnectdb(conninfo.c_str()), &PQfinish) {
    if (PQstatus(get()) != CONNECTION_OK) throw std::runtime_error(PQerrorMessage(get()));
    PQsetNoticeReceiver(get(), &plain_side::hear, this);
  }
  plain_side(const plain_side&) = delete;
  plain_side& operator=(const plain_side&) = delete;

  PGconn* get() const noexcept { return connection_.get(); }
  bool good() const noexcept { return PQstatus(get()) == CONNECTION_OK; }

  /// `data` is asked for when the server wants rows to copy.
  observation run(const std::string& sql, protocol how, const std::function<std::string()>& data) {
    observation seen;
    const int sent = how == protocol::simple ? PQsendQuery(get(), sql.c_str())
                                             : PQsendQueryParams(get(), sql.c_str(), 0, nullptr, nullptr, nullptr, nullptr, 0);
    if (sent != 1) {
      seen[part::kind] = "lost";
      return seen;
    }
    std::string copied;
    while (const auto got = own(PQgetResult(get()))) {
      switch (PQresultStatus(got.get())) {
        case PGRES_COPY_IN: {
          seen[part::kind] = "copy in";
          const std::string rows = data();
          (void)PQputCopyData(get(), rows.data(), static_cast<int>(rows.size()));
          (void)PQputCopyEnd(get(), nullptr);
          break;
        }
        case PGRES_COPY_OUT: {
          char* line = nullptr;
          int size = 0;
          while ((size = PQgetCopyData(get(), &line, 0)) > 0) {
            copied.append(line, static_cast<std::size_t>(size));
            PQfreemem(line);
          }
          seen[part::kind] = "copy out";
          break;
        }
        default: {
          const std::string copying = seen[part::kind].substr(0, 4) == "copy" ? seen[part::kind] : "";
          take(seen, got.get());
          if (!copying.empty() && seen[part::kind] == "command") {
            seen[part::kind] = copying;
            seen[part::cells] = copied;
          }
        }
      }
    }
    if (!good()) seen[part::kind] = "lost";
    end(seen);
    return seen;
  }

  /// All in one go, with one Sync at the end. What is raised there belongs to all. The second: notices and state.
  std::pair<std::vector<observation>, observation> run_atomic(const std::vector<std::string>& all) {
    std::vector<observation> out(all.size());
    observation whole;
    (void)PQenterPipelineMode(get());
    for (const auto& sql : all) (void)PQsendQueryParams(get(), sql.c_str(), 0, nullptr, nullptr, nullptr, nullptr, 0);
    (void)PQpipelineSync(get());
    for (auto& seen : out) {
      while (const auto got = own(PQgetResult(get()))) take(seen, got.get());
    }
    observation at_end;
    while (good()) {
      const auto got = own(PQgetResult(get()));
      if (!got) continue;
      if (PQresultStatus(got.get()) == PGRES_PIPELINE_SYNC) break;
      take(at_end, got.get());
    }
    if (at_end.failed()) std::fill(out.begin(), out.end(), at_end);
    (void)PQexitPipelineMode(get());
    end(whole);
    return {std::move(out), std::move(whole)};
  }

  void end(observation& seen) {
    seen[part::notices] = std::exchange(notices_, {});
    seen[part::state] = transaction_state(get());
  }

 private:
  static void hear(void* self, const PGresult* said) {
    static_cast<plain_side*>(self)->notices_ += notice_text(
        diagnostic(said, PG_DIAG_SEVERITY_NONLOCALIZED), diagnostic(said, PG_DIAG_SQLSTATE), diagnostic(said, PG_DIAG_MESSAGE_PRIMARY),
        diagnostic(said, PG_DIAG_MESSAGE_DETAIL), diagnostic(said, PG_DIAG_MESSAGE_HINT));
  }

  std::unique_ptr<PGconn, decltype(&PQfinish)> connection_;
  std::string notices_;
};

}  // namespace tidepool_differential

#endif
