// SPDX-License-Identifier: BSL-1.0
// tidepool - what a scripted server answers: rows, errors, notices, how long it takes, and whether the connection survives it.
#ifndef TIDEPOOL_TESTING_POSTGRES_ANSWER_HPP
#define TIDEPOOL_TESTING_POSTGRES_ANSWER_HPP

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../../time.hpp"
#include "../../version.hpp"
#include "values.hpp"
#include "wire.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::testing {

namespace detail {

/// When a connection is lost at a statement.
enum class loss { none, before, after };

/// All that an answer may hold.
struct answer_data {
  std::vector<sql_column> columns = {};
  std::vector<sql_row> rows = {};
  bool has_rows = false;
  std::optional<std::uint64_t> affected = {};
  std::string tag = {};
  std::optional<error_fields> failure = {};
  std::vector<error_fields> notices = {};
  std::vector<std::pair<std::string, std::string>> notifications = {};
  duration latency = duration::zero();
  loss lost = loss::none;
  bool silent = false;
};

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

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::testing

#endif
