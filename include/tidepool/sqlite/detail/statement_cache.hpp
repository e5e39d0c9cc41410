// SPDX-License-Identifier: BSL-1.0
// tidepool - the statements that a connection keeps prepared, the least recently used given up first.
#ifndef TIDEPOOL_SQLITE_DETAIL_STATEMENT_CACHE_HPP
#define TIDEPOOL_SQLITE_DETAIL_STATEMENT_CACHE_HPP

#include <sqlite3.h>

#include <cstddef>
#include <functional>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "../../detail/driver/recency_list.hpp"
#include "../../version.hpp"
#include "kept_rows.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::sqlite::detail {

struct statement_deleter {
  void operator()(sqlite3_stmt* one) const noexcept { sqlite3_finalize(one); }
};
using statement_owner = std::unique_ptr<sqlite3_stmt, statement_deleter>;

/// A prepared statement, and what is asked of it at every use.
struct kept_statement {
  statement_owner handle{};
  std::size_t parameters = 0;
  bool writes = false;
  column_names names{};  ///< as of `versions`
  int versions = -1;     ///< how often SQLite has prepared it anew
  std::size_t hash = 0;
  bool cached = false;

  explicit operator bool() const noexcept { return handle != nullptr; }
  sqlite3_stmt* get() const noexcept { return handle.get(); }
};

/// SQLite prepares a statement again by itself when the schema has changed, so entries are never wrong. One that is in use is not in here,
/// but its place is.
template <class = void>
class basic_statement_cache {
 public:
  explicit basic_statement_cache(std::size_t capacity) : capacity_(capacity) {}

  std::size_t capacity() const noexcept { return capacity_; }
  std::size_t size() const noexcept { return all_.size(); }

  /// For one who runs it; empty when it is not here.
  kept_statement take(std::string_view sql) noexcept {
    const auto hash = std::hash<std::string_view>()(sql);
    kept_statement* const found = all_.find(hash);
    if (found == nullptr || !found->handle || sql != sqlite3_sql(found->get())) return {};
    all_.use(hash);
    kept_statement out = std::move(*found);
    out.cached = true;
    return out;
  }
  /// Puts it (back), as the most recently used. It has been reset.
  void put(kept_statement one) {
    if (capacity_ == 0 || !one) return;
    if (one.cached) {
      if (kept_statement* const place = all_.find(one.hash); place != nullptr && !place->handle) *place = std::move(one);
      return;
    }
    const char* const text = sqlite3_sql(one.get());
    if (text == nullptr) return;
    one.hash = std::hash<std::string_view>()(text);
    const auto hash = one.hash;
    if (all_.contains(hash)) return;
    all_.insert(hash, std::move(one));
    while (all_.size() > capacity_) all_.erase(all_.oldest().hash);
  }
  /// Gives up the place of one that failed.
  void drop(const kept_statement& one) noexcept {
    if (one.cached) all_.erase(one.hash);
  }
  /// Of a stream that was not read to its end; finalised when its connection is reset.
  void leave(kept_statement one) noexcept {
    drop(one);
    if (one) left_.push_back(std::move(one.handle));
  }
  void finalise_left() noexcept { left_.clear(); }
  void forget() noexcept {
    left_.clear();
    all_.clear();
  }

 private:
  std::size_t capacity_;
  tidepool::detail::driver::recency_list<kept_statement> all_;
  std::vector<statement_owner> left_;
};
using statement_cache = basic_statement_cache<>;

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::sqlite::detail

#endif
