// SPDX-License-Identifier: BSL-1.0
// tidepool - the script of a scripted server: which statements are expected, how often, and what they are answered.
#ifndef TIDEPOOL_TESTING_POSTGRES_SCRIPT_HPP
#define TIDEPOOL_TESTING_POSTGRES_SCRIPT_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <limits>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../../time.hpp"
#include "../../version.hpp"
#include "values.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::testing {

namespace detail {

/// When a connection is lost at a statement.
enum class loss { none, before, after };

/// All that an answer may hold. Errors and notices are the fields of the protocol, by their letters.
struct answer_data {
  using report = std::map<char, std::string>;
  std::vector<sql_column> columns = {};
  std::vector<sql_row> rows = {};
  bool has_rows = false;
  std::optional<std::uint64_t> affected = {};
  std::string tag = {};
  std::optional<report> failure = {};
  std::vector<report> notices = {};
  std::vector<std::pair<std::string, std::string>> notifications = {};
  duration latency = duration::zero();
  loss lost = loss::none;
  bool silent = false;
};

inline answer_data::report report_of(std::string_view severity, std::string_view sqlstate, std::string_view message) {
  if (sqlstate.size() != 5) throw std::invalid_argument("an SQLSTATE has five characters, not \"" + std::string(sqlstate) + "\"");
  return {{'S', std::string(severity)}, {'V', std::string(severity)}, {'C', std::string(sqlstate)}, {'M', std::string(message)}};
}

}  // namespace detail

/// The words for an answer. Each returns the object, so that they can be put in a row. Without any of them a statement succeeds with no
/// rows.
template <class Self>
class sql_answer_words {
 public:
  /// Rows: `.returns({"id", "name"}, {{1, "ann"}, {2, "bob"}})`. Every row has a value for each column, else std::invalid_argument.
  Self& returns(std::initializer_list<sql_column> columns, std::initializer_list<sql_row> rows) {
    return returns(std::vector<sql_column>(columns), std::vector<sql_row>(rows));
  }
  Self& returns(std::vector<sql_column> columns, std::vector<sql_row> rows) {
    for (const auto& row : rows) {
      if (row.values().size() != columns.size()) {
        throw std::invalid_argument("returns: a row of " + std::to_string(row.values().size()) + " values for " +
                                    std::to_string(columns.size()) + " columns");
      }
    }
    return edit([&](detail::answer_data& to) {
      to.columns = std::move(columns);
      to.rows = std::move(rows);
      to.has_rows = true;
    });
  }
  /// The same with columns named "column1", "column2", ...
  Self& returns(std::initializer_list<sql_row> rows) {
    std::vector<sql_column> columns;
    for (std::size_t i = 0; rows.size() > 0 && i < rows.begin()->values().size(); ++i)
      columns.emplace_back("column" + std::to_string(i + 1));
    return returns(std::move(columns), std::vector<sql_row>(rows));
  }
  /// How many rows were inserted, updated, deleted: `result::affected()`.
  Self& affects(std::uint64_t rows) {
    return edit([&](detail::answer_data& to) { to.affected = rows; });
  }
  /// The command tag, where it is not to be the usual one for the statement's first word.
  Self& command(std::string tag) {
    return edit([&](detail::answer_data& to) { to.tag = std::move(tag); });
  }

  /// The statement fails as on a server; an open transaction then refuses statements until it is rolled back. FATAL ends the session.
  Self& fails(std::string_view sqlstate, std::string_view message, std::string_view severity = "ERROR") {
    return edit([&](detail::answer_data& to) { to.failure = detail::report_of(severity, sqlstate, message); });
  }
  /// One more field of that error; `fails()` comes first.
  ///@{
  Self& constraint(std::string name) { return field('n', std::move(name)); }
  Self& detail(std::string text) { return field('D', std::move(text)); }
  Self& hint(std::string text) { return field('H', std::move(text)); }
  Self& schema(std::string name) { return field('s', std::move(name)); }
  Self& table(std::string name) { return field('t', std::move(name)); }
  Self& column(std::string name) { return field('c', std::move(name)); }
  Self& context(std::string text) { return field('W', std::move(text)); }
  Self& routine(std::string name) { return field('R', std::move(name)); }
  Self& position(int characters) { return field('P', std::to_string(characters)); }
  ///@}

  /// How long the server takes: in a simulation virtual time, else real time.
  Self& latency(duration span) {
    return edit([&](detail::answer_data& to) { to.latency = span; });
  }
  /// No answer until the statement is cancelled (57014) or the connection ends.
  Self& never_answers() {
    return edit([](detail::answer_data& to) { to.silent = true; });
  }
  /// The connection ends before the statement is done.
  Self& loses_connection_before() {
    return edit([](detail::answer_data& to) { to.lost = detail::loss::before; });
  }
  /// The statement is done, and the connection ends before its answer: for COMMIT the outcome is then unknown to the client.
  Self& loses_connection_after() {
    return edit([](detail::answer_data& to) { to.lost = detail::loss::after; });
  }
  /// A notice before the answer, as by RAISE NOTICE; may be said more than once.
  Self& notice(std::string_view message, std::string_view severity = "NOTICE", std::string_view sqlstate = "00000") {
    return edit([&](detail::answer_data& to) { to.notices.push_back(detail::report_of(severity, sqlstate, message)); });
  }
  /// A notification before the answer, as by NOTIFY.
  Self& notifies(std::string channel, std::string payload = {}) {
    return edit([&](detail::answer_data& to) { to.notifications.emplace_back(std::move(channel), std::move(payload)); });
  }

 protected:
  ~sql_answer_words() = default;

 private:
  template <class Edit>
  Self& edit(Edit change) {
    auto& self = static_cast<Self&>(*this);
    self.edit_with(change);
    return self;
  }
  Self& field(char letter, std::string text) {
    return edit([&](detail::answer_data& to) {
      if (!to.failure) throw std::logic_error("a field of an error is given without one: say fails(...) first");
      to.failure->insert_or_assign(letter, std::move(text));
    });
  }
};

/// An answer by itself, for `sql_expectation::answers()`.
class sql_answer : public sql_answer_words<sql_answer> {
 public:
  const testing::detail::answer_data& data() const noexcept { return data_; }

 private:
  friend class sql_answer_words<sql_answer>;
  template <class Edit>
  void edit_with(Edit& change) {
    change(data_);
  }
  testing::detail::answer_data data_;
};

namespace detail {
class script;
}

/// A statement that a script expects: by default once. Its members may be called at any time, from any thread.
class sql_expectation : public sql_answer_words<sql_expectation> {
 public:
  sql_expectation(std::recursive_mutex& mutex, sql_pattern what, bool ordered) : mutex_(mutex), what_(std::move(what)), ordered_(ordered) {}
  sql_expectation(const sql_expectation&) = delete;
  sql_expectation& operator=(const sql_expectation&) = delete;

  /// Exactly these parameters, as the driver sends them: `.with(7, "ann", nullptr)`.
  template <tidepool::postgres::encodable... Args>
  sql_expectation& with(const Args&... args) {
    const std::lock_guard lock(mutex_);
    parameters_.emplace();
    (parameters_->emplace_back(args), ...);
    return *this;
  }
  /// How often the statement has to come: so often, so often or more, or as it likes.
  ///@{
  sql_expectation& times(std::size_t exactly) { return bounds(exactly, exactly); }
  sql_expectation& at_least(std::size_t times) { return bounds(times, unlimited); }
  sql_expectation& any_times() { return bounds(0, unlimited); }
  ///@}
  /// The answer is made for each statement, while the script is locked: the function must be quick, must not use the pool, and runs on the
  /// thread of the server. It replaces the other words for an answer.
  sql_expectation& answers(std::function<sql_answer(const sql_statement&)> make) {
    const std::lock_guard lock(mutex_);
    make_ = std::move(make);
    return *this;
  }
  /// How often it was met.
  std::size_t met() const {
    const std::lock_guard lock(mutex_);
    return met_;
  }

 private:
  friend class sql_answer_words<sql_expectation>;
  friend class testing::detail::script;
  static constexpr std::size_t unlimited = std::numeric_limits<std::size_t>::max();

  template <class Edit>
  void edit_with(Edit& change) {
    const std::lock_guard lock(mutex_);
    change(data_);
  }
  sql_expectation& bounds(std::size_t least, std::size_t most) {
    const std::lock_guard lock(mutex_);
    least_ = least;
    most_ = most;
    return *this;
  }
  bool fits(const sql_statement& got) const {
    if (parameters_) {
      if (parameters_->size() != got.parameters.size()) return false;
      for (std::size_t i = 0; i < got.parameters.size(); ++i) {
        if ((*parameters_)[i].as_sent() != got.parameters[i]) return false;
      }
    }
    return what_.fits(got);
  }
  std::string words() const {
    std::string out = what_.words();
    for (std::size_t i = 0; parameters_ && i < parameters_->size(); ++i) {
      const auto& value = (*parameters_)[i].as_sent();
      out += (i == 0 ? " [" : ", ") + (value ? testing::detail::printable(*value, 80) : "NULL");
    }
    if (parameters_) out += parameters_->empty() ? " []" : "]";
    out += ", met " + std::to_string(met_);
    if (most_ == unlimited) return out + (least_ == 0 ? " times" : " times of at least " + std::to_string(least_));
    return out + " of " + std::to_string(most_) + (most_ == 1 ? " time" : " times");
  }

  std::recursive_mutex& mutex_;
  sql_pattern what_;
  std::optional<std::vector<sql_value>> parameters_;
  std::function<sql_answer(const sql_statement&)> make_;
  testing::detail::answer_data data_;
  std::size_t least_ = 1, most_ = 1, met_ = 0;
  bool ordered_;
};

namespace detail {

/// What a script says to a statement.
struct script_reply {
  bool expected = false;
  answer_data data = {};
  std::string refusal = {};
};

/// Expectations, the record, and what went wrong. Thread safe.
class script {
 public:
  std::recursive_mutex& mutex() const noexcept { return mutex_; }

  sql_expectation& expect(sql_pattern what) {
    const std::lock_guard lock(mutex_);
    expectations_.push_back(std::make_unique<sql_expectation>(mutex_, std::move(what), ordered_));
    return *expectations_.back();
  }
  sql_expectation& otherwise() {
    const std::lock_guard lock(mutex_);
    otherwise_ = std::make_unique<sql_expectation>(mutex_, any_sql(), false);
    otherwise_->any_times();
    return *otherwise_;
  }
  void in_order(bool now) {
    const std::lock_guard lock(mutex_);
    ordered_ = now;
  }

  /// The answer to a statement. `optional`: what the server answers by itself where no expectation fits.
  script_reply reply(const sql_statement& got, bool optional) {
    const std::lock_guard lock(mutex_);
    sql_expectation* found = find(got);
    if (found == nullptr && !optional) found = otherwise_.get();
    script_reply out;
    if (found != nullptr) {
      ++found->met_;
      out.expected = true;
      out.data = found->make_ ? found->make_(got).data() : found->data_;
    } else if (!optional) {
      out.refusal = "fake_postgres: unexpected statement: " + got.text() + "; " + expected_words();
      problems_.push_back(out.refusal.substr(15));
    }
    return out;
  }
  /// Whether an expectation that is not used up fits.
  bool expects(const sql_statement& got) const {
    const std::lock_guard lock(mutex_);
    for (const auto& each : expectations_) {
      if (each->met_ < each->most_ && each->fits(got)) return true;
    }
    return false;
  }
  /// The types of the parameters of a statement that is prepared, where the script names them.
  std::vector<Oid> types_of(const std::string& sql) const {
    const std::lock_guard lock(mutex_);
    for (const auto& each : expectations_) {
      if (!each->parameters_ || !each->what_.fits(sql_statement{sql})) continue;
      std::vector<Oid> out;
      for (const auto& value : *each->parameters_) out.push_back(value.type());
      return out;
    }
    return {};
  }

  std::size_t record(sql_statement got) {
    const std::lock_guard lock(mutex_);
    asked_.push_back(std::move(got));
    return asked_.size() - 1;
  }
  void answered(std::size_t number, std::string answer, std::string copied = {}) {
    const std::lock_guard lock(mutex_);
    if (number >= asked_.size()) return;  // forgotten meanwhile
    asked_[number].answer = std::move(answer);
    asked_[number].copied = std::move(copied);
  }
  std::vector<sql_statement> asked() const {
    const std::lock_guard lock(mutex_);
    return asked_;
  }
  void problem(std::string text) {
    const std::lock_guard lock(mutex_);
    problems_.push_back(std::move(text));
  }
  /// Statements that nobody expected, and expectations that were not met.
  std::vector<std::string> problems() const {
    const std::lock_guard lock(mutex_);
    auto out = problems_;
    for (const auto& each : expectations_) {
      if (each->met_ < each->least_) out.push_back("not met: " + each->words());
    }
    return out;
  }
  void clear() {
    const std::lock_guard lock(mutex_);
    expectations_.clear();
    otherwise_.reset();
    asked_.clear();
    problems_.clear();
    ordered_ = false;
  }

 private:
  sql_expectation* find(const sql_statement& got) {
    bool in_turn = true;  // no expectation in order that comes before is still to be met
    sql_expectation* found = nullptr;
    for (const auto& each : expectations_) {
      if (each->ordered_ && !in_turn) continue;
      if (each->met_ < each->most_ && each->fits(got)) {
        found = each.get();
        break;
      }
      if (each->ordered_ && each->met_ < each->least_) in_turn = false;
    }
    if (found == nullptr || !found->ordered_) return found;
    // Those before it have had their turn.
    for (const auto& each : expectations_) {
      if (each.get() == found) break;
      if (each->ordered_) each->most_ = std::min(each->most_, each->met_);
    }
    return found;
  }
  std::string expected_words() const {
    if (expectations_.empty()) return "nothing was expected";
    std::string out = "expected:";
    std::size_t number = 0;
    for (const auto& each : expectations_) {
      ++number;
      out += (number == 1 ? " (" : "; (") + std::to_string(number) + ") " + each->words() + (each->ordered_ ? ", in order" : "");
      if (number == 20 && expectations_.size() > 20) return out + "; and " + std::to_string(expectations_.size() - 20) + " more";
    }
    return out;
  }

  mutable std::recursive_mutex mutex_;
  std::list<std::unique_ptr<sql_expectation>> expectations_;
  std::unique_ptr<sql_expectation> otherwise_;
  std::vector<sql_statement> asked_;
  std::vector<std::string> problems_;
  bool ordered_ = false;
};

}  // namespace detail
}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::testing

#endif
