// SPDX-License-Identifier: BSL-1.0
// tidepool - what a lane has sent, in order: the server's answers are read by it.
#ifndef TIDEPOOL_POSTGRES_DETAIL_MUX_LANE_COMMANDS_HPP
#define TIDEPOOL_POSTGRES_DETAIL_MUX_LANE_COMMANDS_HPP

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "../../../version.hpp"
#include "../statement_cache.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail::mux {

/// What the server has, or will have, in one place of a lane's table of statements.
struct prepared_statement {
  std::uint32_t generation = 0;  ///< 0: nothing
  statement_id id = {};
};

/// One message, or a few that have one answer.
struct lane_command {
  enum class kind : std::uint8_t { prepare, close, statement, sync, frame, rollback, own_sync };
  kind what{};
  std::uint32_t place = 0;  ///< of `prepare` and `close`
  prepared_statement which = {};
};

/// A queue that has room made before something is sent, so that what was sent is never forgotten.
class lane_commands {
 public:
  bool empty() const noexcept { return head_ == tail_; }
  std::size_t size() const noexcept { return tail_ - head_; }
  const lane_command& front() const noexcept { return ring_[head_ & (ring_.size() - 1)]; }
  /// For so many more. Throws std::bad_alloc, and nothing has changed.
  void make_room(std::size_t more) {
    if (size() + more <= ring_.size()) return;
    std::size_t room = 64;
    while (room < size() + more) room *= 2;
    std::vector<lane_command> larger(room);
    const auto count = size();
    for (std::size_t i = 0; i < count; ++i) larger[i] = ring_[(head_ + i) & (ring_.size() - 1)];
    ring_ = std::move(larger);
    head_ = 0;
    tail_ = count;
  }
  void push_back(const lane_command& one) noexcept { ring_[tail_++ & (ring_.size() - 1)] = one; }
  void pop_front() noexcept { ++head_; }

 private:
  std::vector<lane_command> ring_;  ///< its size is a power of two
  std::size_t head_ = 0, tail_ = 0;
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail::mux

#endif
