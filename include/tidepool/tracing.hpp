// SPDX-License-Identifier: BSL-1.0
// tidepool - tracing: the beginning and the end of what a pool and its driver do, for spans in a program's own tracing.
#ifndef TIDEPOOL_TRACING_HPP
#define TIDEPOOL_TRACING_HPP

#include <array>
#include <atomic>
#include <concepts>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <type_traits>
#include <utility>

#include "events.hpp"
#include "source_location.hpp"
#include "time.hpp"
#include "version.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE {

/// A place in a trace, in the form of W3C's Trace Context: the span that a caller is in, or one that has begun. Opaque for the pool.
struct trace_context {
  std::array<std::uint8_t, 16> trace_id{};  ///< all zero: no trace
  std::array<std::uint8_t, 8> span_id{};    ///< within the trace
  std::uint8_t flags = 0;                   ///< bit 0: sampled
  void* user = nullptr;                     ///< the program's own, say of its span object

  /// Whether it is in no trace.
  bool empty() const noexcept { return trace_id == std::array<std::uint8_t, 16>{} && user == nullptr; }
  /// Whether its trace is recorded.
  bool sampled() const noexcept { return (flags & 1U) != 0; }
};
static_assert(std::is_trivially_copyable_v<trace_context>);

/// What a span is about.
enum class trace_step {
  acquire,   ///< from the call to the lease, or to the failure
  connect,   ///< one attempt
  validate,  ///< one health check, before a hand-out or in the background
  reset,     ///< at the end of a lease
  close,     ///< graceful
  statement  ///< one exchange with the server: a statement, a pipeline, a stream or COPY from its first byte to its end
};
/// The name of a step; static text.
inline const char* to_string(trace_step step) noexcept {
  constexpr const char* names[] = {"acquire", "connect", "validate", "reset", "close", "statement"};
  return names[static_cast<int>(step)];
}

/// A span begins. Texts are valid during the call.
struct trace_start {
  trace_step step;              ///< what begins
  trace_context parent{};       ///< what the caller passed; empty for what the pool does of its own accord
  std::string_view pool{};      ///< its name; empty for statements
  connection_id id = 0;         ///< of the connection, as far as it is known; 0 for acquires and statements
  source_location where{};      ///< of the acquire or statement
  std::string_view server{};    ///< of statements: the connection's `peer()`
  std::string_view tag{};       ///< of statements: the word it begins with, "SELECT"; "PIPELINE", "PING". Static text, never a value
  std::string_view prepared{};  ///< of statements: the name it is prepared by; empty where it is not
};
/// And ends.
struct trace_end {
  trace_step step;           ///< what ends
  duration took;             ///< by the pool's clock, or the driver's
  std::string_view error{};  ///< empty: well. Else what went wrong: the name of an `errc`, an SQLSTATE; of a connect or reset its text
  connection_id id = 0;      ///< of acquires: the connection that was leased
  std::string_view tag{};    ///< as in its `trace_start`
  /// Of a multiplexer's statements: the part of `took` before it was sent, for the last time where it was sent again; all of it where it
  /// never was. Zero for others, which are sent at once.
  duration queued{};
};

/// What takes spans. A program derives from it, or from one of those below; a pool gets it by `shared_tracer`, a driver by
/// `options::tracing`. Both functions are called by several threads at once, on the thread where it happens, never under the pool's lock;
/// for statements on the coroutine's. They should be quick, and must neither wait nor use the connection.
class tracing {
 public:
  tracing() = default;
  tracing(const tracing&) = delete;
  tracing& operator=(const tracing&) = delete;
  virtual ~tracing() = default;
  /// The context of the span that begins here; nothing where it is not sampled, and then nobody is told of its end.
  virtual std::optional<trace_context> start(const trace_start& what) noexcept = 0;
  /// `span`: what `start()` returned. Called once for each.
  virtual void end(const trace_context& span, const trace_end& how) noexcept = 0;
};

/// Default: no tracing, and no code for it.
/// A tracer of your own is any movable class with the two functions of `tracing`, which need not be virtual.
struct null_tracer {};
/// A tracer that is chosen at run time: `using tracer = tidepool::shared_tracer;` in the Traits, and the object as the fifth argument of
/// the pool. Without one nothing is traced.
class shared_tracer {
 public:
  /// Traces nothing.
  shared_tracer() = default;
  /// Passes everything on; a null pointer traces nothing.
  template <std::derived_from<tracing> T>
  shared_tracer(std::shared_ptr<T> to) noexcept : to_(std::move(to)) {}
  /// As those of `tracing`.
  std::optional<trace_context> start(const trace_start& what) const noexcept { return to_ ? to_->start(what) : std::nullopt; }
  void end(const trace_context& span, const trace_end& how) const noexcept { to_->end(span, how); }

 private:
  std::shared_ptr<tracing> to_;
};
/// What a tracer needs: to be `null_tracer`, or these functions.
template <class T>
concept tracer_form = std::is_same_v<T, null_tracer> ||
    (std::is_move_constructible_v<T>&& requires(T& t, const trace_start& what, const trace_context& span, const trace_end& how) {
      { t.start(what) } -> std::convertible_to<std::optional<trace_context>>;
      t.end(span, how);
    });

/// Passes on the spans of traces that are sampled, by their `flags`, and of those without a parent one of `every`, beginning with the
/// first.
class sampled_tracing final : public tracing {
 public:
  /// `every`: 1 passes on all, 100 one of a hundred.
  explicit sampled_tracing(std::shared_ptr<tracing> to, std::uint64_t every) noexcept : to_(std::move(to)), every_(every > 0 ? every : 1) {}
  std::optional<trace_context> start(const trace_start& what) noexcept override {
    const bool wanted = what.parent.empty() ? seen_.fetch_add(1, std::memory_order_relaxed) % every_ == 0 : what.parent.sampled();
    return wanted ? to_->start(what) : std::nullopt;
  }
  void end(const trace_context& span, const trace_end& how) noexcept override { to_->end(span, how); }

 private:
  const std::shared_ptr<tracing> to_;
  const std::uint64_t every_;
  std::atomic<std::uint64_t> seen_{0};
};

/// `void trace_in(const trace_context& parent) noexcept` of a connection: statements from now on are part of this. A pool that traces calls
/// it with what the caller passed when it hands the connection out, and with the span of its own work on it.
template <class C>
concept has_trace_in = requires(C& c, const trace_context& parent) {
  { c.trace_in(parent) }
  noexcept;
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE

#endif
