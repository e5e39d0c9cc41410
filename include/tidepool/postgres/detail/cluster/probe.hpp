// SPDX-License-Identifier: BSL-1.0
// tidepool - asks a server what it is: one query, one round trip.
//
// What is reported at login, or on a change, is never used: a pooler in between repeats that of its own first login.
#ifndef TIDEPOOL_POSTGRES_DETAIL_CLUSTER_PROBE_HPP
#define TIDEPOOL_POSTGRES_DETAIL_CLUSTER_PROBE_HPP

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "../../../detail/shell/timed_work.hpp"
#include "../../../version.hpp"
#include "../../connection.hpp"
#include "../address_memory.hpp"
#include "../real_time.hpp"
#include "budget_core.hpp"
#include "present.hpp"
#include "probe_answer.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail::fleet {

/// For any role. The name of a file of the log begins with the timeline, in hexadecimal digits; the control file has that of the latest
/// checkpoint, which on a standby lags behind.
inline constexpr std::string_view probe_query =
    "select r.standby, pg_catalog.current_setting('transaction_read_only'),"
    " case when r.standby then (select timeline_id::pg_catalog.text from pg_catalog.pg_control_checkpoint())"
    " else pg_catalog.left(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_insert_lsn()), 8) end,"
    " pg_catalog.pg_wal_lsn_diff(case when r.standby then pg_catalog.pg_last_wal_replay_lsn()"
    " else pg_catalog.pg_current_wal_insert_lsn() end, '0/0'),"
    " (extract(epoch from pg_catalog.clock_timestamp()) * 1000000)::pg_catalog.int8,"
    " (extract(epoch from pg_catalog.pg_last_xact_replay_timestamp()) * 1000000)::pg_catalog.int8,"
    " pg_catalog.concat_ws(' ', pg_catalog.inet_server_addr(), pg_catalog.inet_server_port(), pg_catalog.pg_postmaster_start_time())"
    " from (select pg_catalog.pg_is_in_recovery() as standby) r";
/// For servers that are not quite PostgreSQL, or do not let this role ask more.
inline constexpr std::string_view plain_probe_query =
    "select pg_catalog.pg_is_in_recovery(), pg_catalog.current_setting('transaction_read_only')";

/// Besides: the places for all instances and their probes, by the limits of the server, the database and the role, whichever leaves less;
/// and for each instance of `$1` its number, sessions, probes, what it lacks and whether it would take more than its share, which the name
/// of its probe's session tells. `$2` is that name for this one.
inline constexpr std::string_view budget_query =
    ", (select least(l.server - count(*) filter (where o.other), l.database - count(*) filter (where o.other and o.datid = l.oid),"
    " l.login - count(*) filter (where o.other and o.usename = session_user))"
    " from (select pg_catalog.current_setting('max_connections')::pg_catalog.int4"
    " - pg_catalog.current_setting('superuser_reserved_connections')::pg_catalog.int4"
    " - coalesce(nullif(pg_catalog.current_setting('reserved_connections', true), '')::pg_catalog.int4, 0) as server, d.oid,"
    " case when d.datconnlimit >= 0 and not u.rolsuper then d.datconnlimit end as database,"
    " case when u.rolconnlimit >= 0 and not u.rolsuper then u.rolconnlimit end as login"
    " from pg_catalog.pg_database d, pg_catalog.pg_roles u where d.datname = pg_catalog.current_database() and u.rolname = session_user) l,"
    " (select datid, usename, usesysid is not null and (application_name is null"
    " or not pg_catalog.starts_with(application_name, $1::pg_catalog.text)) as other from pg_catalog.pg_stat_activity) o"
    " group by l.server, l.database, l.login),"
    " (select pg_catalog.string_agg(id || ' ' || sessions || ' ' || probes || ' ' || lacks || ' ' || hungry, ' ' order by id) from"
    " (select pg_catalog.substr(pg_catalog.split_part(application_name, '?', 1), pg_catalog.length($1::pg_catalog.text) + 1) as id,"
    " pg_catalog.count(*) filter (where pg_catalog.strpos(application_name, '?') = 0) as sessions,"
    " pg_catalog.count(*) filter (where pg_catalog.strpos(application_name, '?') > 0) as probes,"
    " coalesce(pg_catalog.max(nullif(pg_catalog.rtrim(pg_catalog.split_part(application_name, '?', 2), '+'), '')::pg_catalog.int4), 0)"
    " as lacks, pg_catalog.count(*) filter (where pg_catalog.strpos(application_name, '+') > 0) as hungry"
    " from pg_catalog.pg_stat_activity where pg_catalog.starts_with(application_name, $1::pg_catalog.text) group by 1) each),"
    " pg_catalog.set_config('application_name', $2::pg_catalog.text, false)";

/// One probe and what became of it.
struct probe_result {
  probe_result() = default;  // no aggregate: see topology.hpp
  bool good = false;
  probe_answer said{};
  std::string server{};               ///< which one it is: another one bears another text; empty: not known
  std::optional<budget_view> view{};  ///< where it was asked for, and answered
  probe_failure why = probe_failure::unreachable;
  std::string error{};
};

/// How one host is asked, and the connection for that.
struct probe_line {
  std::shared_ptr<const options> settings;
  std::shared_ptr<address_memory> memory = std::make_shared<address_memory>();
  duration timeout{};
  connection held{};
  bool plain = false;     ///< it cannot answer the whole query
  std::string shared{};   ///< the name that instances share, with `#`; empty: each has what it wants
  std::string number{};   ///< of this one
  std::size_t lacks = 0;  ///< of its share, to be told with the next probe
  bool hungry = false;    ///< it would take more than that

  /// The numeric address that it is connected to; empty where there is none.
  std::string address() const {
    const char* const numeric = held ? PQhostaddr(held.native()) : nullptr;
    return numeric == nullptr ? std::string() : std::string(numeric);
  }
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

/// The columns of `budget_query`, from `at` on.
template <class = void>
inline budget_view view_of(const result& rows, std::size_t at, std::string_view number) {
  budget_view view;
  std::size_t probes = 0;
  std::string_view rest = rows[0][at + 1].is_null() ? std::string_view() : std::string_view(rows[0][at + 1].text());
  const auto word = [&rest] {
    const auto end = std::min(rest.find(' '), rest.size());
    const auto out = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    return out;
  };
  while (!rest.empty()) {
    const bool mine = word() == number;
    const auto sessions = number_of<std::size_t>(word());
    probes += number_of<std::size_t>(word());
    const auto lacks = number_of<std::size_t>(word());
    const bool hungry = number_of<std::size_t>(word()) > 0;
    view.instances.push_back(sessions);
    if (mine) {
      view.mine = sessions;
      view.mine_told = hungry;
      view.rank = view.hungry;
    } else {
      view.lacking += lacks;
    }
    if (hungry) ++view.hungry;
  }
  const auto places = number_of<std::int64_t>(rows[0][at].text()) - static_cast<std::int64_t>(probes);
  view.usable = static_cast<std::size_t>(std::max<std::int64_t>(places, 0));
  return view;
}

template <class = void>
inline asio::awaitable<probe_result> ask(std::shared_ptr<probe_line> line) {
  if (!line->held) {
    const asio::any_io_executor here = co_await asio::this_coro::executor;
    const auto until = later(clock::now(), line->timeout);
    connection made = co_await connection::connect(here, line->settings, line->memory, until);
    line->held = std::move(made);
  }
  probe_result out;
  out.good = true;
  if (!line->plain) {
    try {
      std::string sql(probe_query);
      if (!line->shared.empty()) {
        sql.insert(sql.rfind(" from (select"), budget_query);
        const std::string told = line->shared + line->number + "?" + std::to_string(line->lacks) + (line->hungry ? "+" : "");
        const result rows = co_await line->held.exec(sql, line->shared, told);
        out.said = answer_of(rows, false, line->held.behind_pooler());
        out.server = rows[0][6].text();
        out.view = view_of(rows, 7, line->number);
      } else {
        const result rows = co_await line->held.exec(sql);
        out.said = answer_of(rows, false, line->held.behind_pooler());
        out.server = rows[0][6].text();
      }
      co_return out;
    } catch (const error& failure) {
      // 55000: it changed its role within the query. Everything else of this kind will be the same next time.
      if (failure.connection_lost() || failure.reason() != errc::server || failure.is("55000") || failure.is("57014")) throw;
    }
    line->plain = true;
  }
  const result rows = co_await line->held.exec(plain_probe_query);
  out.said = answer_of(rows, true, line->held.behind_pooler());
  co_return out;
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
  if (end->value) co_return std::move(*end->value);
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
