// tidepool - which statements one connection has prepared, least recently used first.
#ifndef TIDEPOOL_POSTGRES_DETAIL_STATEMENT_CACHE_HPP
#define TIDEPOOL_POSTGRES_DETAIL_STATEMENT_CACHE_HPP

#include <cstddef>
#include <iterator>
#include <list>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace tidepool::postgres::detail {

class statement_cache {
 public:
  explicit statement_cache(std::size_t capacity) : capacity_(capacity) {}
  std::size_t capacity() const noexcept { return capacity_; }
  std::size_t size() const noexcept { return entries_.size(); }

  /// The server's name for it, and moves it to the young end; empty when it is not there.
  std::string find(const std::string& key) {
    const auto at = index_.find(key);
    if (at == index_.end()) return {};
    entries_.splice(entries_.end(), entries_, at->second);
    return at->second->second;
  }
  /// Makes room for it where there is none: what falls out is stale.
  void insert(const std::string& key, std::string name) {
    if (entries_.size() >= capacity_) drop(std::string(entries_.front().first));
    entries_.emplace_back(key, std::move(name));
    index_.insert_or_assign(key, std::prev(entries_.end()));
  }
  /// Forgets one that the server still has; it is stale until it is deallocated.
  void drop(const std::string& key) {
    const auto at = index_.find(key);
    if (at == index_.end()) return;
    const auto gone = at->second;
    stale_.push_back(gone->second);
    index_.erase(at);
    entries_.erase(gone);
  }
  /// The server has none of them any more.
  void clear() {
    index_.clear();
    entries_.clear();
    stale_.clear();
  }
  /// SQL that deallocates what is stale, which then is forgotten.
  std::string take_stale() {
    std::string sql;
    for (const auto& name : stale_) sql += "deallocate " + name + ";";
    stale_.clear();
    return sql;
  }
  bool has_stale() const noexcept { return !stale_.empty(); }

 private:
  using entry = std::pair<std::string, std::string>;  // key, name
  std::size_t capacity_;
  std::list<entry> entries_;
  std::unordered_map<std::string, std::list<entry>::iterator> index_;
  std::vector<std::string> stale_;
};

}  // namespace tidepool::postgres::detail

#endif
