// SPDX-License-Identifier: BSL-1.0
// tidepool - the texts that a multiplexer has seen: what each is, and under which name lanes prepare it.
#ifndef TIDEPOOL_POSTGRES_DETAIL_MUX_KNOWN_TEXTS_HPP
#define TIDEPOOL_POSTGRES_DETAIL_MUX_KNOWN_TEXTS_HPP

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "../../../detail/util/intrusive_list.hpp"
#include "../../../version.hpp"
#include "../request.hpp"
#include "../statement_cache.hpp"
#include "../statement_text.hpp"
#include "refused_text.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail::mux {

/// One text with its parameter types.
struct known_text : tidepool::detail::list_hook {
  std::string sql;
  std::vector<Oid> types;
  std::string_view refused;      ///< see `why_refused`
  bool named = false;            ///< lanes prepare it
  std::uint32_t place = 0;       ///< in the tables of the lanes
  std::uint32_t generation = 0;  ///< a lane that prepared an earlier one has to prepare it again; above zero
  std::uint32_t uses = 0;        ///< statements that refer to it
  std::size_t hash = 0;
  statement_id id;            ///< of its name on the server, which can only mean this text
  statement_id::name name{};  ///< that name
};

/// Least recently used first. One that is in use is not dropped.
class known_texts {
 public:
  explicit known_texts(std::size_t most) : most_(most) {}
  known_texts(const known_texts&) = delete;
  known_texts& operator=(const known_texts&) = delete;

  /// Counts as one use, until `leave()`. Null where there is no room: the statement is sent with its text.
  known_text* enter(const request& what) {
    const auto sql = what.sql();
    const std::size_t hash = hash_of(sql) + what.parameter_count();
    const auto [first, last] = index_.equal_range(hash);
    for (auto at = first; at != last; ++at) {
      known_text& one = *at->second;
      if (one.sql != sql || !what.has_types(one.types)) continue;
      order_.erase(one);
      order_.push_back(one);
      ++one.uses;
      return &one;
    }
    return add(what, hash);
  }
  void leave(known_text& one) noexcept { --one.uses; }
  /// Names in the texts may mean other objects by now: all are prepared again at their next use.
  void outdate() {
    for (known_text* one = order_.front(); one != nullptr; one = order_.after(*one)) rename(*one);
  }
  /// The same for one.
  void renew(known_text& one) { rename(one); }
  std::size_t size() const noexcept { return index_.size(); }

 private:
  /// A quick one: the texts are the program's own, and few.
  static std::size_t hash_of(std::string_view text) noexcept {
    std::uint64_t out = text.size();
    const auto add = [&out](std::uint64_t word) {
      out = (out ^ word) * 0x9E3779B97F4A7C15U;
      out ^= out >> 32U;
    };
    std::uint64_t word = 0;
    for (; text.size() > sizeof word; text.remove_prefix(sizeof word)) {
      std::memcpy(&word, text.data(), sizeof word);
      add(word);
    }
    word = 0;
    std::memcpy(&word, text.data(), text.size());
    add(word);
    return static_cast<std::size_t>(out);
  }
  /// Where it throws, nothing has changed.
  known_text* add(const request& what, std::size_t hash) {
    std::string sql(what.sql());
    auto types = what.types();
    known_text* one = nullptr;
    if (all_.size() < most_) {
      all_.push_back(std::make_unique<known_text>());
      one = all_.back().get();
      one->place = static_cast<std::uint32_t>(all_.size() - 1);
      try {
        index_.emplace(hash, one);
      } catch (...) {
        all_.pop_back();
        throw;
      }
    } else {
      for (one = order_.front(); one != nullptr && one->uses > 0; one = order_.after(*one)) {
      }
      if (one == nullptr) return nullptr;
      order_.erase(*one);
      const auto [first, last] = index_.equal_range(one->hash);
      for (auto at = first; at != last; ++at) {
        if (at->second != one) continue;
        auto entry = index_.extract(at);
        entry.key() = hash;
        index_.insert(std::move(entry));
        break;
      }
    }
    one->sql = std::move(sql);
    one->types = std::move(types);
    one->refused = why_refused(one->sql);
    one->named = has_plan(one->sql) && !names_a_moment(one->sql);
    one->hash = hash;
    one->uses = 1;
    rename(*one);
    order_.push_back(*one);
    return one;
  }
  void rename(known_text& one) {
    one.generation = ++generations_;
    one.id = statement_id(one.sql, one.types, "shared", std::to_string(one.generation));
    one.name = one.id.text();
  }
  std::size_t most_;
  std::uint32_t generations_ = 0;
  std::vector<std::unique_ptr<known_text>> all_;
  tidepool::detail::intrusive_list<known_text> order_;
  std::unordered_multimap<std::size_t, known_text*> index_;
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail::mux

#endif
