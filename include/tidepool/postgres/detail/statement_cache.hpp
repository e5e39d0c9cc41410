// SPDX-License-Identifier: BSL-1.0
// tidepool - the statements that one connection keeps prepared, least recently used first.
//
// The server has a list of them too, and the two must agree: an entry that is dropped here is closed there, and where the server's answer
// shows that an entry is wrong, the server is right.
#ifndef TIDEPOOL_POSTGRES_DETAIL_STATEMENT_CACHE_HPP
#define TIDEPOOL_POSTGRES_DETAIL_STATEMENT_CACHE_HPP

#include <libpq-fe.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "../../detail/driver/recency_list.hpp"
#include "../../version.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail {

/// A hash of 128 bits: the same text, parameter types and settings have the same one in every session and process on machines of one
/// byte order. That two different statements have the same hash is too unlikely to happen; the cache compares the texts as well.
class statement_id {
 public:
  /// The statement's name on the server; ends with a zero.
  using name = std::array<char, 9 + 32 + 1>;

  constexpr statement_id() = default;
  statement_id(std::string_view sql, const std::vector<Oid>& types, std::string_view settings, std::string_view path) noexcept {
    add(sql);
    add(std::uint64_t{types.size()});
    for (const Oid type : types) add(std::uint64_t{type});
    add(settings);
    add(path);
    first_ = mixed(first_);
    second_ = mixed(second_);
  }
  friend bool operator==(const statement_id&, const statement_id&) = default;

  std::size_t hash() const noexcept { return static_cast<std::size_t>(first_); }
  name text() const noexcept {
    constexpr char digits[] = "0123456789abcdef";
    name out{'t', 'i', 'd', 'e', 'p', 'o', 'o', 'l', '_'};
    auto at = out.begin() + 9;
    for (const auto half : {first_, second_}) {
      for (unsigned shift = 64; shift > 0; shift -= 4) *at++ = digits[(half >> (shift - 4)) & 15U];
    }
    *at = '\0';
    return out;
  }

 private:
  void add(std::uint64_t word) noexcept {
    first_ = (first_ ^ word) * 0x9E3779B97F4A7C15U;
    first_ ^= first_ >> 32U;
    second_ = (std::rotl(second_, 23) + word) * 0xC2B2AE3D27D4EB4FU;
    second_ ^= second_ >> 29U;
  }
  void add(std::string_view text) noexcept {
    add(std::uint64_t{text.size()});
    for (; !text.empty(); text.remove_prefix(std::min<std::size_t>(text.size(), 8))) {
      std::uint64_t word = 0;
      std::memcpy(&word, text.data(), std::min<std::size_t>(text.size(), 8));
      add(word);
    }
  }
  static std::uint64_t mixed(std::uint64_t word) noexcept {
    word = (word ^ (word >> 33U)) * 0xFF51AFD7ED558CCDU;
    word = (word ^ (word >> 33U)) * 0xC4CEB9FE1A85EC53U;
    return word ^ (word >> 33U);
  }

  std::uint64_t first_ = 0x736F6D6570736575U;
  std::uint64_t second_ = 0x646F72616E646F6DU;
};

/// Identifies a statement. Holds views: valid as long as what they point to.
struct statement_key {
  statement_key(std::string_view text, const std::vector<Oid>& parameters, std::string_view in_force, std::string_view search_path) noexcept
      : sql(text), types(&parameters), settings(in_force), path(search_path), id(text, parameters, in_force, search_path) {}
  std::string_view sql;
  const std::vector<Oid>* types;
  std::string_view settings;  ///< see `parse_settings`
  std::string_view path;      ///< `search_path`, where the server reports it
  statement_id id;
};

template <class = void>
class basic_statement_cache {
 public:
  struct entry {
    statement_id id;
    statement_id::name name;  ///< begins with a zero: sent with its text, unnamed, each time
    std::string sql;
    std::vector<Oid> types;
    std::string settings;
    std::string path;
    bool sure;              ///< nothing has shown that the server may have lost it
    bool sets_settings;     ///< it may change what statements mean
    bool outdated = false;  ///< a name in its text may mean another object by now: prepare it again

    bool named() const noexcept { return name[0] != '\0'; }
    bool is(const statement_key& key) const noexcept {
      return id == key.id && sql == key.sql && types == *key.types && settings == key.settings && path == key.path;
    }
  };

  explicit basic_statement_cache(std::size_t capacity) : capacity_(capacity) {}
  std::size_t capacity() const noexcept { return capacity_; }
  std::size_t size() const noexcept { return entries_.size(); }

  /// Null when it is not there. Marks it as used last. Valid until the next change.
  const entry* find(const statement_key& key) noexcept {
    const entry* const found = entries_.find(key.id.hash());
    if (found == nullptr || !found->is(key)) return nullptr;
    entries_.use(key.id.hash());
    return found;
  }
  /// Whether a statement that is not there can be added. Drops the least recently used one for it, if that can be closed at once.
  bool make_room(const statement_key& key, bool can_close) {
    // Another one has the same hash, or the server still has a statement of that name.
    if (entries_.contains(key.id.hash()) || std::find(closing_.begin(), closing_.end(), key.id) != closing_.end()) return false;
    if (entries_.size() + closing_.size() < capacity_) return true;
    if (!can_close || closing_.size() >= capacity_) return false;
    if (entries_.size() >= capacity_) drop(entries_.oldest().id);
    return true;
  }
  const entry* insert(const statement_key& key, bool named, bool sets_settings) {
    return &entries_.insert(key.id.hash(), {key.id, named ? key.id.text() : statement_id::name{}, std::string(key.sql), *key.types,
                                            std::string(key.settings), std::string(key.path), true, sets_settings});
  }
  /// Drops an entry, and notes that it has to be closed on the server.
  void drop(const statement_id& id) {
    const entry* const found = entries_.find(id.hash());
    if (found == nullptr || found->id != id) return;
    if (found->named()) closing_.push_back(id);
    entries_.erase(id.hash());
  }
  /// All of them have to be prepared again at their next use.
  void outdate() noexcept {
    for (auto& each : entries_) each.outdated = each.named();
  }
  /// The server does not have this one, so it may have lost the others too: DEALLOCATE ALL by a function, or another server process.
  void missing(const statement_id& id) {
    for (auto& each : entries_) each.sure = false;
    drop(id);
    closed(id);
  }
  void found(const statement_id& id) noexcept {
    entry* const known = entries_.find(id.hash());
    if (known != nullptr && known->id == id) known->sure = true;
  }
  /// The server has none of them any more.
  void clear() noexcept {
    entries_.clear();
    closing_.clear();
  }

  /// The server has a statement of this name that this cache does not use: it has to be closed there.
  void close_later(const statement_id& id) {
    if (std::find(closing_.begin(), closing_.end(), id) == closing_.end()) closing_.push_back(id);
  }
  bool has_closing() const noexcept { return !closing_.empty(); }
  statement_id next_closing() const noexcept { return closing_.back(); }
  void closed(const statement_id& id) noexcept { std::erase(closing_, id); }

 private:
  std::size_t capacity_;
  tidepool::detail::driver::recency_list<entry> entries_;
  std::vector<statement_id> closing_;
};
using statement_cache = basic_statement_cache<>;

/// The settings that decide what a statement's text means to the server's parser (`search_path` and the like), as far as they are known.
/// `text()` is empty for those of the session's start.
class parse_settings {
 public:
  /// Whether `text()` is true now.
  bool known() const noexcept { return known_ && known_here_; }
  bool changed_until_the_end() const noexcept { return !known_here_; }
  const std::string& text() const noexcept { return text_; }
  void learn(std::string text) {
    text_ = std::move(text);
    known_ = known_here_ = true;
  }
  /// A statement may have changed them, perhaps until the end of the transaction only.
  void changed(bool until_the_end) noexcept { (until_the_end ? known_here_ : known_) = false; }
  void transaction_ended() noexcept { known_here_ = true; }
  void as_at_start() noexcept {
    text_.clear();
    known_ = known_here_ = true;
  }

 private:
  std::string text_;
  bool known_ = true;
  bool known_here_ = true;  ///< false until the end of the transaction
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail

#endif
