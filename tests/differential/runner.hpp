// SPDX-License-Identifier: BSL-1.0
// tidepool - runs a file of SQL on two plain sides and the tested one, in lock-step, and tells where the tested one differs.
#ifndef TIDEPOOL_TESTS_DIFFERENTIAL_RUNNER_HPP
#define TIDEPOOL_TESTS_DIFFERENTIAL_RUNNER_HPP

#include <array>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <tidepool/postgres/detail/sql_text.hpp>

#include "splitter.hpp"
#include "tested.hpp"

namespace tidepool_differential {

/// What came of it, by one way.
struct tally {
  std::size_t files = 0;
  std::size_t statements = 0;
  std::size_t left_out = 0;                           ///< what psql alone can do, and what has no counterpart
  std::size_t unsteady = 0;                           ///< statements of which the plain sides see different things
  std::size_t failed = 0;                             ///< statements that fail on all sides
  std::map<std::string, std::size_t> accounted = {};  ///< differences that are meant, by reason
  std::vector<std::string> differences = {};
};

/// Text for a report: control characters as escapes, and not too long.
inline std::string shown(std::string_view text, std::size_t most = 300) {
  std::string out;
  for (const char c : text.substr(0, most)) {
    if (c == '\n')
      out += "\\n";
    else if (c == null_mark)
      out += "<null>";
    else if (c == value_end)
      out += '|';
    else if (c == row_end)
      out += "||";
    else
      out += c;
  }
  return text.size() > most ? out + "..." : out;
}

class runner {
 public:
  /// The tested side connects first: what the driver asks of the server for itself the plain sides ask as well. `meant` names the
  /// reason why a difference is one; empty: none.
  using rule = std::function<std::string(way, const difference&, const std::string& sql)>;
  runner(std::array<std::string, 3> servers, way how, rule meant = {})
      : servers_(std::move(servers)), how_(how), meant_(std::move(meant)) {}

  /// For showing that a difference is seen: changes what the tested side is told to run.
  std::function<std::string(std::string)> tamper = [](std::string sql) { return sql; };
  /// Each side has a server of its own.
  bool alone = false;
  /// Most statements of one pipeline.
  std::size_t batch_size = 6;
  const tally& counts() const noexcept { return tally_; }

  void run_file(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    run_text(path.substr(path.rfind('/') + 1), std::string(std::istreambuf_iterator<char>(in), {}));
  }
  void run_text(const std::string& name, std::string text) {
    ++tally_.files;
    name_ = name;
    splitter file(std::move(text));
    conditions_.clear();
    for (auto& known : known_) known = {{"DBNAME", "regression"}};
    connect("");
    for (;;) {
      const char* strings = PQparameterStatus(sides_->plain[0].get(), "standard_conforming_strings");
      auto got = file.next(strings != nullptr && std::string_view(strings) == "off");
      if (!got) break;
      if (got->what == item::type::command) {
        const bool go_on = command(*got, file);
        if (!go_on) break;
      } else if (active()) {
        statement(*got, file);
      }
      if (sides_ && !sides_->good()) connect("");
    }
    flush();
    sides_.reset();
  }

 private:
  struct three {
    three(const std::array<std::string, 3>& servers, way how, const std::string& more)
        : tested(servers[2] + more, how), plain{plain_side(as(tested, servers[0]) + more), plain_side(as(tested, servers[1]) + more)} {}
    /// What libpq is told by the driver, for another server.
    static std::string as(const tested_side& driver, const std::string& server) {
      std::string out;
      PQconninfoOption* const all = PQconninfo(driver.native());
      for (const PQconninfoOption* o = all; o->keyword != nullptr; ++o) {
        const std::string_view key(o->keyword);
        if (o->val == nullptr || *o->val == '\0' || key == "host" || key == "hostaddr" || key == "port") continue;
        std::string value;
        for (const char* c = o->val; *c != '\0'; ++c) value += *c == '\'' || *c == '\\' ? std::string("\\") + *c : std::string(1, *c);
        out += std::string(key) + "='" + value + "' ";
      }
      PQconninfoFree(all);
      return out + server;
    }
    bool good() const { return tested.good() && plain[0].good() && plain[1].good(); }

    tested_side tested;
    std::array<plain_side, 2> plain;
  };
  struct queued {
    std::array<std::string, 3> sql;
  };

  /// A session's number in its server is the name of its temporary schema, so a new one waits until the old one has gone.
  void disconnect() {
    sides_.reset();
    for (std::size_t i = 0; i < 3; ++i) {
      if (!control_[i]) control_[i] = std::make_unique<plain_side>(servers_[i] + " dbname=postgres");
      for (int tries = 0; tries < 500; ++tries) {
        const auto others = own(PQexec(control_[i]->get(),
                                       "select 1 from pg_stat_activity where "
                                       "pid <> pg_backend_pid() and backend_type = 'client backend'"));
        if (PQntuples(others.get()) == 0) break;
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
      }
    }
  }
  void connect(const std::string& more) {
    batch_.clear();
    if (alone) disconnect();
    try {
      auto made = std::make_unique<three>(servers_, how_, more);
      // What the driver has set after the login.
      const auto set = own(PQexec(made->tested.native(),
                                  "select format('select set_config(%L, %L, false)', name, setting) "
                                  "from pg_settings where source = 'session' and name <> 'search_path'"));
      for (int i = 0; i < PQntuples(set.get()); ++i) {
        for (auto& side : made->plain) (void)own(PQexec(side.get(), PQgetvalue(set.get(), i, 0)));
      }
      sides_ = std::move(made);
    } catch (const std::exception&) {
      if (more.empty()) throw;
      ++tally_.left_out;
      connect("");
    }
  }

  // --- psql's commands ------------------------------------------------------------------------------------------------------
  bool active() const { return conditions_.empty() || conditions_.back() == branch::taken; }

  bool command(const item& what, splitter& file) {
    const std::string& name = what.command;
    if (name == "if") {
      conditions_.push_back(!active() ? branch::never : truth(what) ? branch::taken : branch::pending);
    } else if ((name == "elif" || name == "else") && !conditions_.empty()) {
      auto& now = conditions_.back();
      if (now == branch::taken) now = branch::never;
      if (now == branch::pending && (name == "else" || truth(what))) now = branch::taken;
    } else if (name == "endif" && !conditions_.empty()) {
      conditions_.pop_back();
    }
    if (!active()) return true;
    flush();
    if (name == "q" || name == "quit") return false;
    if (name == "set" || name == "getenv") {
      for (auto& known : known_) {
        const auto words = words_of(what.arguments.render(known));
        if (words.empty()) continue;
        std::string value;
        for (std::size_t i = 1; i < words.size(); ++i) value += words[i];
        if (name == "getenv") {
          const char* found = std::getenv(value.c_str());
          if (found == nullptr) continue;
          value = found;
        }
        known[words[0]] = value;
      }
    } else if (name == "unset") {
      for (auto& known : known_) known.erase(what.arguments.render(known));
    } else if (name == "c" || name == "connect") {
      reconnect(words_of(what.arguments.render(known_[2])));
    } else if (name == "copy") {
      const std::string arguments = what.arguments.render(known_[2]);
      const std::string small = lower(arguments);
      if (small.find("from stdin") != std::string::npos || small.find("to stdout") != std::string::npos) {
        run_one({{"copy " + arguments, "copy " + arguments, "copy " + arguments}}, &file);
      } else {
        ++tally_.left_out;
      }
    }
    return true;
  }
  bool truth(const item& what) const {
    const auto words = words_of(what.arguments.render(known_[0]));
    const std::string said = words.empty() ? "" : lower(words[0]);
    return said == "1" || said == "on" ||
           (!said.empty() && (said == std::string("true").substr(0, said.size()) || said == std::string("yes").substr(0, said.size())));
  }
  void reconnect(std::vector<std::string> words) {
    std::string more;
    if (!words.empty() && words[0].starts_with("-reuse")) words.erase(words.begin());
    if (!words.empty() && words[0] != "-") more += " dbname='" + words[0] + "'";
    if (words.size() > 1 && words[1] != "-") more += " user='" + words[1] + "'";
    connect(more);
  }

  // --- statements -----------------------------------------------------------------------------------------------------------
  void statement(const item& what, splitter& file) {
    queued now;
    for (std::size_t i = 0; i < 3; ++i) now.sql[i] = what.sql.render(known_[i]);
    const std::string small = lower(now.sql[0]);
    const std::string first = first_word(small);
    if (what.command == "gdesc" || what.command == "watch" || (what.several && small.find("copy") != std::string::npos)) {
      flush();
      ++tally_.left_out;
      return;
    }
    const bool pipelined = how_ == way::independent || how_ == way::atomic;
    if (pipelined && what.command.empty() && !what.several && first != "copy" && small.find("standard_conforming") == std::string::npos) {
      batch_.push_back(std::move(now));
      // An atomic pipeline takes a statement that ends the transaction as its last one only.
      const bool ends = pg::detail::transaction_end_of(batch_.back().sql[2]) != pg::detail::transaction_end::none;
      if (batch_.size() >= batch_size || ends) flush();
      return;
    }
    flush();
    auto answers = run_one(now, &file);
    if (what.command == "gset") keep(answers, what.arguments.render(known_[0]));
    if (what.command == "gexec") {
      std::array<std::vector<std::string>, 3> texts;
      for (std::size_t i = 0; i < 3; ++i) texts[i] = split(answers[i][part::cells]);
      if (texts[0].size() != texts[1].size() || texts[0].size() != texts[2].size()) return;
      for (std::size_t i = 0; i < texts[0].size() && sides_->good(); ++i) run_one({{texts[0][i], texts[1][i], texts[2][i]}}, nullptr);
    }
  }
  static std::string first_word(std::string_view small) {
    for (std::size_t i = 0; i < small.size();) {
      if (is_space(small[i])) {
        ++i;
      } else if (small.substr(i, 2) == "/*") {
        i = std::min(small.find("*/", i), small.size() - 2) + 2;
      } else {
        std::size_t n = 0;
        while (i + n < small.size() && is_word(small[i + n])) ++n;
        return std::string(small.substr(i, n));
      }
    }
    return {};
  }
  /// Whether it is a COPY, and whether its rows come from or go to this side.
  static std::pair<bool, tested_side::copies> copies(const std::string& small) {
    if (first_word(small) != "copy") return {false, tested_side::copies::no};
    const auto words = words_of(small);
    for (std::size_t i = 1; i < words.size(); ++i) {
      // The server takes either word for either direction.
      if (!words[i].starts_with("stdin") && !words[i].starts_with("stdout")) continue;
      if (words[i - 1] == "from") return {true, tested_side::copies::in};
      if (words[i - 1] == "to") return {true, tested_side::copies::out};
    }
    return {true, tested_side::copies::no};
  }
  static std::vector<std::string> split(const std::string& cells) {
    std::vector<std::string> out;
    std::string value;
    for (const char c : cells) {
      if (c == value_end)
        out.push_back(std::exchange(value, {}));
      else if (c != row_end)
        value += c;
    }
    return out;
  }
  void keep(const std::array<observation, 3>& answers, const std::string& prefix) {
    const auto words = words_of(prefix);
    const std::string before = words.empty() ? "" : words[0];
    for (std::size_t i = 0; i < 3; ++i) {
      // A way that shows no columns has the names of the first plain side, and no values where it shows no cells.
      const auto& columns = answers[i].told[static_cast<std::size_t>(part::columns)] ? answers[i] : answers[0];
      const auto& cells = answers[i].told[static_cast<std::size_t>(part::cells)] ? answers[i] : answers[0];
      const auto names = split(columns[part::columns]);
      const auto values = split(cells[part::cells]);
      for (std::size_t c = 0; c < names.size() && c < values.size(); ++c) {
        const std::string name = before + names[c].substr(0, names[c].rfind(' '));
        if (values[c] == std::string(1, null_mark))
          known_[i].erase(name);
        else
          known_[i][name] = values[c];
      }
    }
  }

  std::array<observation, 3> run_one(const queued& what, splitter* file) {
    ++tally_.statements;
    const auto copying = copies(lower(what.sql[0]));
    const auto protocol = copying.first || how_ == way::script ? plain_side::protocol::simple : plain_side::protocol::extended;
    std::string data;
    bool asked = false;
    const auto feed = [&] {
      if (!std::exchange(asked, true) && file != nullptr) data = file->copy_data();
      return data;
    };
    std::array<observation, 3> seen;
    for (std::size_t i = 0; i < 2; ++i) seen[i] = sides_->plain[i].run(what.sql[i], protocol, feed);
    const auto columns = static_cast<int>(split(seen[0][part::columns]).size());
    seen[2] = sides_->tested.run(tamper(what.sql[2]), copying.second, data, columns);
    compare(what.sql[2], seen[0], seen[1], seen[2]);
    return seen;
  }

  /// A pipeline on the tested side; on the plain ones the same, or one after the other where each stands by itself.
  void flush() {
    if (batch_.empty()) return;
    const auto all = std::exchange(batch_, {});
    tally_.statements += all.size();
    std::array<std::vector<observation>, 3> seen;
    std::array<observation, 3> whole;
    for (std::size_t i = 0; i < 2; ++i) {
      std::vector<std::string> texts;
      for (const auto& one : all) texts.push_back(one.sql[i]);
      if (how_ == way::atomic) {
        std::tie(seen[i], whole[i]) = sides_->plain[i].run_atomic(texts);
        as_promised(seen[i]);
      } else {
        std::string notices;
        for (const auto& text : texts) {
          seen[i].push_back(sides_->plain[i].run(text, plain_side::protocol::extended, [] { return std::string(); }));
          notices += seen[i].back()[part::notices];
          whole[i][part::state] = seen[i].back()[part::state];
        }
        whole[i][part::notices] = std::move(notices);
      }
    }
    std::vector<std::string> texts;
    std::string together;
    for (const auto& one : all) {
      texts.push_back(tamper(one.sql[2]));
      together += texts.back() + ";\n";
    }
    std::tie(seen[2], whole[2]) = sides_->tested.run_batch(texts);
    for (std::size_t i = 0; i < all.size(); ++i) {
      seen[2][i].silent(part::notices);
      seen[2][i].silent(part::state);
      compare(all[i].sql[2] + "   [" + std::to_string(i + 1) + " of " + std::to_string(all.size()) + "]", seen[0][i], seen[1][i],
              seen[2][i]);
    }
    compare(together, whole[0], whole[1], whole[2]);
  }
  /// An error undoes all, and what it undid is told as not run.
  static void as_promised(std::vector<observation>& all) {
    const bool failed = std::any_of(all.begin(), all.end(), [](const observation& o) { return o.failed(); });
    if (!failed) return;
    for (auto& seen : all) {
      if (seen.failed()) continue;
      for (auto& text : seen.parts) text.clear();
      seen[part::kind] = "not run";
    }
  }

  void compare(const std::string& sql, const observation& plain, const observation& other, const observation& tested) {
    if (plain.parts != other.parts) ++tally_.unsteady;
    if (plain.failed()) ++tally_.failed;
    for (const auto& found : differences(plain, other, tested)) {
      const std::string reason = meant_ ? meant_(how_, found, sql) : std::string();
      if (!reason.empty()) {
        ++tally_.accounted[reason];
        continue;
      }
      tally_.differences.push_back(name_ + ": " + shown(sql, 600) + "\n    " +
                                   std::string(part_names[static_cast<std::size_t>(found.where)]) +
                                   "\n    libpq:  " + shown(found.expected) + "\n    driver: " + shown(found.got));
    }
  }

  enum class branch { taken, pending, never };
  std::array<std::string, 3> servers_;
  way how_;
  rule meant_;
  tally tally_;
  std::string name_;
  std::unique_ptr<three> sides_;
  std::array<std::unique_ptr<plain_side>, 3> control_;
  std::array<variables, 3> known_;
  std::vector<branch> conditions_;
  std::vector<queued> batch_;
};

}  // namespace tidepool_differential

#endif
