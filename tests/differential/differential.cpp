// SPDX-License-Identifier: BSL-1.0
// tidepool - the driver against libpq: that the comparison sees what it has to see, and PostgreSQL's own regression suite.
#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include "../support/catch.hpp"
#include "runner.hpp"

using namespace tidepool_differential;

namespace {

std::vector<std::string> statements_of(const std::string& text) {
  std::vector<std::string> out;
  splitter file(text);
  while (auto got = file.next()) out.push_back(got->what == item::type::command ? "\\" + got->command : got->sql.render({{"v", "it's"}}));
  return out;
}

std::string server() {
  const char* said = std::getenv("TIDEPOOL_TEST_PG");
  return said == nullptr ? "" : said;
}

/// All there is to compare, and what no side may do in the sight of another: the three share one database here.
const char* const sample = R"(
create temp table t (a int primary key, b text); insert into t values (1, 'x'), (2, null);
select a, b from t order by a; select; select 1/0; nonsense;
begin; select 1; select 1/0; rollback; do $$ begin raise notice 'heard %', 1; end $$;
copy t from stdin;
3	three
\.
copy t to stdout; select count(*) from t;
create temp table late (a int references t deferrable initially deferred);
\set number 5
select :number as five, :'number' as "text" \gset kept_
select :kept_five;
insert into late values (99);
drop table late;
select n, n, n, n, n, n from generate_series(1, 300) n;
;
)";

tally run_sample(way how, std::function<std::string(std::string)> tamper) {
  runner three({server(), server(), server()}, how);
  if (tamper) three.tamper = std::move(tamper);
  three.run_text("sample", sample);
  return three.counts();
}
std::string list(const tally& counts) {
  std::string out;
  for (const auto& one : counts.differences) out += one + "\n";
  return out;
}

std::vector<std::string> sorted_rows(const std::string& cells) {
  std::vector<std::string> out;
  for (std::size_t at = 0; at < cells.size();) {
    const auto end = std::min(cells.find(row_end, at), cells.size() - 1) + 1;
    out.push_back(cells.substr(at, end - at));
    at = end;
  }
  std::sort(out.begin(), out.end());
  return out;
}

/// Why a difference is none of the driver's; empty: it is.
std::string not_the_drivers(way how, const difference& found, const std::string& sql) {
  const std::string small = lower(sql);
  const auto has = [&small](const char* word) { return small.find(word) != std::string::npos; };
  // Each server's own, although two of them often agree.
  if (found.where == part::cells && has("wal_lsn")) return "how much of its log a server has written";
  if (how != way::cached) return {};
  if (has("pg_prepared_statements")) return "what the cache has prepared is listed";
  if (found.where == part::cells && sorted_rows(found.expected) == sorted_rows(found.got)) {
    return "a plan made under other settings: rows come in another order where ORDER BY does not decide";
  }
  if (has("::regtype") || has("::regproc") || has("::regclass")) return "a name that was looked up when the statement was prepared";
  if (has("returnqueryf")) return "a function whose table has changed: the server's plan of the call does not notice";
  return {};
}

/// An environment variable, or nothing.
std::string variable(const char* name) {
  const char* said = std::getenv(name);
  return said == nullptr ? "" : said;
}
std::vector<std::string> words_of_variable(const char* name) { return words_of(variable(name)); }

}  // namespace

TEST_CASE("given a file of SQL, when it is split, then statements end where psql ends them", "[field-machine]") {
  CHECK(statements_of("select 1; select 2;") == std::vector<std::string>{"select 1", "select 2"});
  CHECK(statements_of("select ';', \";\" -- ; \n, $$;$$, $a$ ; $$ $a$, /* ; /* ; */ */ 1;x") ==
        std::vector<std::string>{"select ';', \";\" \n, $$;$$, $a$ ; $$ $a$, /* ; /* ; */ */ 1", "x"});
  CHECK(statements_of("select E'\\';', '\\', (1; 2); x") == std::vector<std::string>{"select E'\\';', '\\', (1; 2)", "x"});
  CHECK(statements_of("select :v, :'v', a::v, :\"v\", :w, x[1:2], ':v'") ==
        std::vector<std::string>{"select it's, 'it''s', a::v, \"it's\", :w, x[1:2], ':v'"});
  CHECK(statements_of("create function f() begin atomic select case when 1 then 2 end; select 2; end; x") ==
        std::vector<std::string>{"create function f() begin atomic select case when 1 then 2 end; select 2; end", "x"});
  CHECK(statements_of("begin; end; select 1 \\; select 2; \\d x\nselect 3 \\gset a_\n\\echo ;") ==
        std::vector<std::string>{"begin", "end", "select 1 ; select 2", "\\d", "select 3 ", "\\echo"});
}

TEST_CASE("given COPY data in a file, when it is asked for, then it is no SQL", "[field-machine]") {
  splitter file("copy t from stdin; -- x\n1\t;'\n\\.\nselect 2;");
  CHECK(file.next()->sql.render({}) == "copy t from stdin");
  CHECK(file.copy_data() == "1\t;'\n");
  CHECK(file.next()->sql.render({}) == "select 2");
  CHECK_FALSE(file.next());
}

TEST_CASE("given statements of every kind, when they run by every way, then the driver shows what libpq shows",
          "[field-machine][field-F1]") {
  if (server().empty()) {
    WARN("skipped: TIDEPOOL_TEST_PG, a conninfo of a server for tests, is not set");
    return;
  }
  for (const way how : all_ways) {
    INFO(name_of(how));
    const tally counts = run_sample(how, {});
    CHECK(counts.statements >= 20);
    CHECK(counts.failed >= 4);
    CHECK(list(counts) == "");
  }
}

TEST_CASE("given a side that does something else, when it is compared, then each part tells it", "[field-machine]") {
  if (server().empty()) {
    WARN("skipped: TIDEPOOL_TEST_PG, a conninfo of a server for tests, is not set");
    return;
  }
  struct lie {
    const char *instead_of, *says, *seen_in;
  };
  for (const auto& [instead_of, says, seen_in] :
       std::vector<lie>{{"select", "table nowhere", "kind"},
                        {"select 1/0", "select sqrt(-1)", "SQLSTATE"},
                        {"nonsense", "nonsens", "message"},
                        {"insert into t values (1, 'x'), (2, null)", "insert into t values (1, 'x')", "tag"},
                        {"select a, b from t order by a", "select a, b as c from t order by a", "columns"},
                        {"select a, b from t order by a", "select a, b from t order by a desc", "cells"},
                        {"do $$ begin raise notice 'heard %', 1; end $$", "do $$ begin raise notice 'heard %', 2; end $$", "notices"},
                        {"begin", "select", "transaction"}}) {
    const tally counts = run_sample(way::exec, [from = instead_of, to = says](std::string sql) { return sql == from ? to : sql; });
    INFO(instead_of << " became " << says << "\n" << list(counts));
    CHECK(list(counts).find("\n    " + std::string(seen_in)) != std::string::npos);
  }
}

// Run by run.sh beside this file, which knows where servers and statements are.
TEST_CASE("given PostgreSQL's regression suite, when the driver runs it, then it shows what libpq shows", "[.suite]") {
  const auto servers = std::array<std::string, 3>{variable("DIFFERENTIAL_A"), variable("DIFFERENTIAL_B"), variable("DIFFERENTIAL_C")};
  const std::string wanted = variable("DIFFERENTIAL_WAY");
  if (servers[2].empty() || wanted.empty()) {
    WARN("skipped: run.sh beside this file says where servers and statements are");
    return;
  }
  const auto how = *std::find_if(all_ways.begin(), all_ways.end(), [&](way w) { return wanted == std::string_view(name_of(w)); });
  runner three(servers, how, not_the_drivers);
  three.alone = true;
  std::size_t told = 0;
  for (const auto& file : words_of_variable("DIFFERENTIAL_FILES")) {
    three.run_file(file);
    for (; told < three.counts().differences.size(); ++told) std::printf("%s\n", three.counts().differences[told].c_str());
    std::fflush(stdout);
  }
  const tally& counts = three.counts();
  std::printf("%s: %zu files, %zu statements (%zu fail on all sides, %zu steadily compared), %zu differences\n", name_of(how), counts.files,
              counts.statements, counts.failed, counts.statements - counts.unsteady, counts.differences.size());
  for (const auto& [reason, count] : counts.accounted) std::printf("    %zu meant: %s\n", count, reason.c_str());
  CHECK(counts.differences.empty());
}
