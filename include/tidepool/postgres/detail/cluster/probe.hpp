// SPDX-License-Identifier: BSL-1.0
// tidepool - asks a server what it is: one query, one round trip.
//
// What is reported at login, or on a change, is never used: a pooler in between repeats that of its own first login.
#ifndef TIDEPOOL_POSTGRES_DETAIL_CLUSTER_PROBE_HPP
#define TIDEPOOL_POSTGRES_DETAIL_CLUSTER_PROBE_HPP

#include <charconv>
#include <cstdint>
#include <exception>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "../../../detail/shell/timed_work.hpp"
#include "../../../version.hpp"
#include "../../connection.hpp"
#include "../address_memory.hpp"
#include "../real_time.hpp"
#include "cluster_core.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail::fleet {

using tidepool::detail::driver::later;

/// For any role. The name of a file of the log begins with the timeline, in hexadecimal digits; the control file has that of the latest
/// checkpoint, which on a standby lags behind.
inline constexpr std::string_view probe_query =
    "select r.standby, pg_catalog.current_setting('transaction_read_only'),"
    " case when r.standby then (select timeline_id::pg_catalog.text from pg_catalog.pg_control_checkpoint())"
    " else pg_catalog.left(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_insert_lsn()), 8) end,"
    " pg_catalog.pg_wal_lsn_diff(case when r.standby then pg_catalog.pg_last_wal_replay_lsn()"
    " else pg_catalog.pg_current_wal_insert_lsn() end, '0/0'),"
    " (extract(epoch from pg_catalog.clock_timestamp()) * 1000000)::pg_catalog.int8,"
    " (extract(epoch from pg_catalog.pg_last_xact_replay_timestamp()) * 1000000)::pg_catalog.int8"
    " from (select pg_catalog.pg_is_in_recovery() as standby) r";
/// For servers that are not quite PostgreSQL, or do not let this role ask more.
inline constexpr std::string_view plain_probe_query =
    "select pg_catalog.pg_is_in_recovery(), pg_catalog.current_setting('transaction_read_only')";

/// One probe and what became of it.
struct probe_result {
  probe_result() = default;  // no aggregate: see topology.hpp
  bool good = false;
  probe_answer said{};
  probe_failure why = probe_failure::unreachable;
  std::string error{};
};

/// How one host is asked, and the connection for that.
struct probe_line {
  std::shared_ptr<const options> settings;
  std::shared_ptr<address_memory> memory = std::make_shared<address_memory>();
  duration timeout{};
  connection held{};
  bool plain = false;  ///< it cannot answer the whole query
};

template <class T>
T number_of(std::string_view text, int base = 10) noexcept {
  T out{};
  (void)std::from_chars(text.data(), text.data() + text.size(), out, base);
  return out;
}
template <class = void>
inline probe_answer answer_of(const result& rows, bool plain, bool pooled) {
  probe_answer said;
  said.standby = rows[0][0].text() == "t";
  said.read_only = rows[0][1].text() == "on";
  said.pooled = pooled;
  if (plain) return said;
  const auto text = [&rows](std::size_t column) {
    return rows[0][column].is_null() ? std::string_view() : std::string_view(rows[0][column].text());
  };
  said.timeline = number_of<std::uint32_t>(text(2), said.standby ? 10 : 16);
  said.lsn = number_of<std::uint64_t>(text(3));
  said.clock = number_of<std::int64_t>(text(4));
  said.replayed_at = number_of<std::int64_t>(text(5));
  return said;
}

template <class = void>
inline asio::awaitable<probe_answer> ask(std::shared_ptr<probe_line> line) {
  if (!line->held) {
    const asio::any_io_executor here = co_await asio::this_coro::executor;
    const auto until = later(clock::now(), line->timeout);
    connection made = co_await connection::connect(here, line->settings, line->memory, until);
    line->held = std::move(made);
  }
  std::string refused;
  if (!line->plain) {
    try {
      const result rows = co_await line->held.exec(probe_query);
      co_return answer_of(rows, false, line->held.behind_pooler());
    } catch (const error& failure) {
      // 55000: it changed its role within the query. Everything else of this kind will be the same next time.
      if (failure.connection_lost() || failure.reason() != errc::server || failure.is("55000") || failure.is("57014")) throw;
    }
    line->plain = true;
  }
  const result rows = co_await line->held.exec(plain_probe_query);
  co_return answer_of(rows, true, line->held.behind_pooler());
}

/// Whether the connection had worked before decides what its loss means.
template <class = void>
inline probe_result failure_of(const std::exception_ptr& thrown, bool worked) {
  probe_result out;
  try {
    std::rethrow_exception(thrown);
  } catch (const connect_error& failure) {
    out.error = failure.explanation();
    switch (failure.kind()) {
      case failure_kind::permanent: out.why = probe_failure::permanent; break;
      case failure_kind::server_full: out.why = probe_failure::full; break;
      case failure_kind::starting: out.why = probe_failure::starting; break;
      default: out.why = failure.reason() == errc::connect_timeout ? probe_failure::silent : probe_failure::unreachable;
    }
  } catch (const error& failure) {
    out.error = failure.explanation();
    out.why = worked ? probe_failure::lost : probe_failure::unreachable;
  } catch (const std::exception& failure) {
    out.error = failure.what();
  } catch (...) {
    out.error = "an exception of unknown type";
  }
  return out;
}

/// Ends soon after `timeout` in any case.
template <class = void>
inline asio::awaitable<probe_result> probe(std::shared_ptr<probe_line> line) {
  const bool worked = bool(line->held);
  auto work = ask(line);
  const auto end = co_await tidepool::detail::run_timed<real_timer>(line->timeout, std::move(work));
  probe_result out;
  if (end->value) {
    out.good = true;
    out.said = *end->value;
    co_return out;
  }
  if (end->timed_out()) {
    out.why = probe_failure::silent;
  } else {
    out = failure_of(end->failure, worked);
  }
  line->held = connection();
  co_return out;
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail::fleet

#endif
