// SPDX-License-Identifier: BSL-1.0
// tidepool - one physical connection with its place in the core, and the operation that runs on it.
#ifndef TIDEPOOL_DETAIL_SHELL_POOL_ENTRY_HPP
#define TIDEPOOL_DETAIL_SHELL_POOL_ENTRY_HPP

#include <cstddef>
#include <exception>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "../../connection.hpp"
#include "../../traits.hpp"
#include "../../version.hpp"
#include "../core/slot.hpp"
#include "../util/asio.hpp"
#include "../util/attributes.hpp"
#include "../util/owning_ptr.hpp"
#include "../util/stack_trace.hpp"
#include "peer_closed.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail {

template <class Connection, class Traits>
class pool_front;
template <class Connection, class Traits>
class pool_impl;

/// Where an operation runs and how it is cancelled. A signal must be emitted where its slot is used, hence the strand. Shared with the
/// coroutine, which may outlive the entry.
template <class Traits>
struct op_state {
  using executor_type = typename Traits::operation_executor;
  static constexpr bool needs_strand = !std::is_same_v<typename Traits::mutex_type, null_mutex>;

  explicit op_state(const typename Traits::executor_type& from) : executor(make(from)) {}

  static executor_type make(const typename Traits::executor_type& from) {
    if constexpr (needs_strand && std::is_constructible_v<executor_type, asio::strand<typename Traits::executor_type>>) {
      return asio::make_strand(from);
    } else {
      return from;
    }
  }

  executor_type executor;
  asio::cancellation_signal signal;
};

/// The completion handler of an operation's coroutine. A type of its own, because for what `bind_cancellation_slot()` returns Asio 1.26 and
/// 1.27 dispatch the signal with a plain pointer, which may be run when the coroutine is gone.
template <class Traits>
struct op_ended {
  using cancellation_slot_type = asio::cancellation_slot;
  std::shared_ptr<op_state<Traits>> op;
  cancellation_slot_type get_cancellation_slot() const noexcept { return op->signal.slot(); }
  void operator()(std::exception_ptr) const noexcept {}
};

/// What a connection held of the process's memory when it was last asked, for types that tell; under the lock.
template <class Target>
struct memory_of {};
template <has_memory_bytes Target>
struct memory_of<Target> {
  std::size_t bytes = 0;
};

/// Texts for events about a connection; made when there is something to keep.
struct entry_words {
  std::string server;  ///< what the connection says of itself
  std::string cause;   ///< why it is destroyed
};

/// For reports made where nothing may be thrown: without memory it is empty.
inline std::string text_or_empty(std::string_view text) noexcept {
  try {
    return std::string(text);
  } catch (...) {
    return {};
  }
}

/// A slot of the core with the connection in it; slot.hpp tells who may touch the slot's part. The connection is used by one at a time: the
/// holder of the lease, or the operation that runs, or the thread that takes the slot on from there (a hand-out, the end of an operation,
/// destruction). Beside that user the pool may call `abort()`, and asks a held one for `waiting_since()` and `peer()`.
template <class Connection, class Traits>
struct pool_entry : core_slot {
  explicit pool_entry(pool_front<Connection, Traits>& owner) : pool(&owner) {}

  pool_front<Connection, Traits>* pool;
  std::optional<Connection> connection;
  bool ready = false;  ///< the core knows the connection; before that only the connect's coroutine touches it
  std::shared_ptr<op_state<Traits>> op;
  owning_ptr<stack_trace> trace;
  owning_ptr<entry_words> words;

  std::string_view server() const noexcept { return words ? std::string_view(words->server) : std::string_view(); }
  std::string_view cause() const noexcept { return words ? std::string_view(words->cause) : std::string_view(); }
  /// Out of memory, it is not kept.
  void keep_words(std::string entry_words::*which, std::string text) noexcept {
    if (text.empty()) return;
    if (!words) words.reset(new (std::nothrow) entry_words);
    if (words) (*words).*which = std::move(text);
  }
  TIDEPOOL_NO_UNIQUE_ADDRESS memory_of<reached_t<Connection>> memory;
  TIDEPOOL_NO_UNIQUE_ADDRESS peer_closed_flag_for<reached_t<Connection>> peer_closed;
  std::shared_ptr<pool_impl<Connection, Traits>> keep;  ///< set when the pool gives it up while its lease is out

  /// The object whose members are called; null where a pointer is pooled and is null.
  reached_t<Connection>* target() noexcept { return reach(*connection); }
  const reached_t<Connection>* target() const noexcept { return reach(*connection); }
};

/// Only the pool makes leases that hold something, and looks into them.
struct make_lease {
  /// What a pool is: alive for as long as somebody holds it, and closed once the pool object is gone.
  template <class Pool>
  static auto maker_of(const Pool& pool) noexcept {
    return pool.impl_;
  }
  template <class Lease, class Connection, class Traits>
  static Lease of(pool_entry<Connection, Traits>* held) noexcept {
    return Lease(held);
  }
  template <class Lease>
  static auto* held_by(const Lease& lease) noexcept {
    return lease.entry_;
  }
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail

#endif
