// SPDX-License-Identifier: BSL-1.0
// tidepool - the statements that a connection keeps prepared, the least recently used given up first.
#ifndef TIDEPOOL_SQLITE_DETAIL_STATEMENT_CACHE_HPP
#define TIDEPOOL_SQLITE_DETAIL_STATEMENT_CACHE_HPP

#include <sqlite3.h>

#include <cstddef>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "../../version.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::sqlite::detail {

struct statement_deleter {
  void operator()(sqlite3_stmt* one) const noexcept { sqlite3_finalize(one); }
};
using statement_owner = std::unique_ptr<sqlite3_stmt, statement_deleter>;

/// SQLite prepares a statement again by itself when the schema has changed, so entries are never wrong.
template <class = void>
class basic_statement_cache {
 public:
  explicit basic_statement_cache(std::size_t capacity) : capacity_(capacity) {}

  std::size_t capacity() const noexcept { return capacity_; }
  std::size_t size() const noexcept { return order_.size(); }

  /// Takes it out, for one who runs it; null when it is not there.
  statement_owner take(std::string_view sql) noexcept {
    const auto at = by_text_.find(sql);
    if (at == by_text_.end()) return {};
    const auto entry = at->second;
    statement_owner out = std::move(entry->statement);
    by_text_.erase(at);
    order_.erase(entry);
    return out;
  }
  /// Puts it (back), as the most recently used. It has been reset.
  void put(statement_owner statement) {
    if (capacity_ == 0 || !statement) return;
    const char* const text = sqlite3_sql(statement.get());
    if (text == nullptr || by_text_.contains(text)) return;
    order_.push_front(entry{std::move(statement), text});
    try {
      by_text_.emplace(order_.front().text, order_.begin());
    } catch (...) {
      order_.pop_front();
      throw;
    }
    while (order_.size() > capacity_) {
      by_text_.erase(order_.back().text);
      order_.pop_back();
    }
  }
  /// Of a stream that was not read to its end; finalised when its connection is reset.
  void leave(statement_owner statement) noexcept {
    if (statement) left_.push_back(std::move(statement));
  }
  void finalise_left() noexcept { left_.clear(); }
  void forget() noexcept {
    left_.clear();
    by_text_.clear();
    order_.clear();
  }

 private:
  struct entry {
    statement_owner statement;
    std::string_view text;  ///< SQLite's own copy
  };
  std::size_t capacity_;
  std::list<entry> order_;
  std::unordered_map<std::string_view, typename std::list<entry>::iterator> by_text_;
  std::vector<statement_owner> left_;
};
using statement_cache = basic_statement_cache<>;

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::sqlite::detail

#endif
