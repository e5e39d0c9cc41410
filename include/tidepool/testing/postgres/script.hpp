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
#include "answer.hpp"
#include "values.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::testing {

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
  /// thread of the server. It replaces the other words for an answer. Where it throws the statement fails, and that is a problem.
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
    script_reply out;
    std::string wrong;
    try {
      sql_expectation* found = find(got);
      if (found == nullptr && !optional) found = otherwise_.get();
      if (found != nullptr) {
        ++found->met_;
        out.expected = true;
        out.data = found->make_ ? found->make_(got).data() : found->data_;
      } else if (!optional) {
        wrong = "unexpected statement: " + got.text() + "; " + expected_words();
      }
    } catch (const std::exception& failure) {
      wrong = "a function of the script threw at the statement " + got.text() + ": " + failure.what();
    } catch (...) {
      wrong = "a function of the script threw at the statement " + got.text();
    }
    if (!wrong.empty()) {
      out.refusal = "fake_postgres: " + wrong;
      problems_.push_back(std::move(wrong));
    }
    return out;
  }
  /// Whether an expectation that is not used up fits.
  bool expects(const sql_statement& got) const {
    const std::lock_guard lock(mutex_);
    for (const auto& each : expectations_) {
      if (each->met_ < each->most_ && fits(*each, got)) return true;
    }
    return false;
  }
  /// The types of the parameters of a statement that is prepared, where the script names them.
  std::vector<Oid> types_of(const std::string& sql) const {
    const std::lock_guard lock(mutex_);
    for (const auto& each : expectations_) {
      if (!each->parameters_ || !fits(each->what_, sql_statement{sql})) continue;
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
  /// Before the statement runs. A function of the user's that throws does so again when it does.
  template <class What>
  static bool fits(const What& what, const sql_statement& got) noexcept {
    try {
      return what.fits(got);
    } catch (...) {
      return false;
    }
  }
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
      out += "\n    (" + std::to_string(number) + ") " + each->words() + (each->ordered_ ? ", in order" : "");
      if (number == 20 && expectations_.size() > 20) return out + "\n    and " + std::to_string(expectations_.size() - 20) + " more";
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
