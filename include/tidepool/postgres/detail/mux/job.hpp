// SPDX-License-Identifier: BSL-1.0
// tidepool - what the multiplexer's dispatcher knows of one statement and of one lane. No I/O, no clock, no libpq.
#ifndef TIDEPOOL_POSTGRES_DETAIL_MUX_JOB_HPP
#define TIDEPOOL_POSTGRES_DETAIL_MUX_JOB_HPP

#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "../../../detail/util/deadline_queue.hpp"
#include "../../../detail/util/intrusive_list.hpp"
#include "../../../time.hpp"
#include "../../../version.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail::mux {

using tidepool::detail::deadline_node;
using tidepool::detail::deadline_queue;
using tidepool::detail::intrusive_list;
using tidepool::detail::later;
using tidepool::detail::list_hook;
using tidepool::detail::never;
using tidepool::detail::tick;

/// What a lane is for. The session of a `read` lane is read-only by the server's own setting.
enum class lane_kind : std::uint8_t { write, read };
inline constexpr lane_kind other(lane_kind kind) noexcept { return kind == lane_kind::write ? lane_kind::read : lane_kind::write; }

/// How a statement ended, for its caller.
enum class verdict : std::uint8_t {
  answered,   ///< the server's answer to it is final: a result or an error, which the shell has kept
  late,       ///< its deadline passed; a write was certainly not executed
  cancelled,  ///< by its caller; it was executed only where it had been sent
  full,       ///< refused: too many wait
  closed,     ///< not executed, because the multiplexer is closing
  no_lane,    ///< not executed, because no lane could be opened
  lost,       ///< of a read: as many lanes as it may be sent to were lost under it
  unknown     ///< of a write that was sent and has no final answer: it may have been executed
};

/// The server's answer to one statement. Only the end of its group, the Sync, makes it final.
enum class answer : std::uint8_t {
  none,     ///< it has not come
  good,     ///< a result
  failed,   ///< an error: it was not executed, whatever becomes of the lane
  skipped,  ///< not executed, because an earlier one of its group failed
  stale     ///< not executed, because the server no longer has what was prepared: it has to be sent again in another form
};

struct lane;

/// One statement. It lives with its caller, never moves while the dispatcher knows it, and is forgotten when `complete` is called.
struct job : list_hook {
  job() noexcept { due.owner = this; }
  job(const job&) = delete;
  job& operator=(const job&) = delete;

  lane_kind kind = lane_kind::write;
  bool alone = false;        ///< it gets a Sync of its own
  std::uint8_t losses = 0;   ///< lanes that were lost under it
  std::uint32_t bytes = 0;   ///< about what is sent of it
  std::uint64_t number = 0;  ///< of submission: the order of the queue
  tick submitted{};
  tick sent{};  ///< latest
  deadline_node<job> due;
  lane* on = nullptr;        ///< where it was sent; null while it waits
  std::uint64_t ticket = 0;  ///< its place there
  /// Called exactly once, when the dispatcher has forgotten the job. It must not call the dispatcher.
  void (*complete)(job*, verdict) noexcept = nullptr;
};

/// A statement that was sent, in the order of the lane. It stays when its caller is gone, because its answer will come.
struct ticket {
  job* who = nullptr;
  std::uint32_t bytes = 0;
  bool ends_group = false;
  answer got = answer::none;
};

enum class lane_state : std::uint8_t {
  vacant,    ///< no connection
  opening,   ///< a connection is being got and prepared
  ready,     ///< takes statements
  draining,  ///< takes none any more; what was sent is awaited
  fallen,    ///< its connection is gone, and those who were sent on it are not told yet
  dead       ///< they are; the shell has to shut it
};

/// What the shell has to do with a lane. The dispatcher asks for one thing a lane at a time.
enum class lane_order : std::uint8_t {
  none,
  open,     ///< get a connection, make it one of `kind`, then `ready()` or `failed()`
  turn,     ///< its connection stays and becomes one of `kind`, then `ready()` or `failed()`
  release,  ///< give it back to the pool: nothing is under way on it; then `vacated()`
  kill      ///< shut it: it cannot be used any more; then `vacated()`
};

struct lane {
  explicit lane(std::size_t number, std::size_t depth) : index(number), ring_(std::bit_ceil(depth)) {}
  lane(const lane&) = delete;
  lane& operator=(const lane&) = delete;

  const std::size_t index;
  lane_kind kind = lane_kind::write;
  lane_state state = lane_state::vacant;
  lane_order order = lane_order::none;
  bool turns = false;                 ///< while draining: it becomes one of the other kind; while opening: it was one
  bool reported_stalled = false;      ///< and the user told
  bool told_stalled = false;          ///< its stall was counted
  bool to_flush = false;              ///< something was put that was not flushed
  std::uint32_t group_limit = 1;      ///< statements of one Sync, at most
  std::uint32_t group_size = 0;       ///< put so far, and no Sync yet
  std::uint64_t asked_at_number = 0;  ///< how many statements had been submitted when its connection was asked for
  std::size_t bytes = 0;              ///< in flight
  tick since{};                       ///< of its state
  tick progress{};                    ///< when the latest answer came, or the first statement was sent
  tick retire = never;                ///< then it is given back
  std::uint64_t served = 0;           ///< statements answered

  std::size_t depth() const noexcept { return static_cast<std::size_t>(tail_ - head_); }
  bool idle() const noexcept { return tail_ == head_; }
  ticket& at(std::uint64_t place) noexcept { return ring_[static_cast<std::size_t>(place) & (ring_.size() - 1)]; }
  std::uint64_t add(job& who) noexcept {
    at(tail_) = {&who, who.bytes, false, answer::none};
    bytes += who.bytes;
    return tail_++;
  }
  void end_group() noexcept {
    at(tail_ - 1).ends_group = true;
    group_size = 0;
  }
  bool awaits_answer() const noexcept { return answered_ != tail_; }
  ticket& next_answer() noexcept { return at(answered_); }
  void note_answer(answer what) noexcept { at(answered_++).got = what; }
  /// All of a group is answered; its Sync comes next.
  bool awaits_sync() noexcept { return head_ != answered_ && at(answered_ - 1).ends_group; }
  ticket& front() noexcept { return at(head_); }
  ticket pop() noexcept {
    const ticket out = at(head_++);
    bytes -= out.bytes;
    if (answered_ < head_) answered_ = head_;
    return out;
  }
  void clear() noexcept {
    head_ = answered_ = tail_;
    bytes = 0;
    group_size = 0;
  }

 private:
  std::vector<ticket> ring_;
  std::uint64_t head_ = 0;      ///< the oldest without a final answer
  std::uint64_t answered_ = 0;  ///< the oldest without any answer
  std::uint64_t tail_ = 0;
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres::detail::mux

#endif
