// SPDX-License-Identifier: BSL-1.0
// tidepool - a step of the pool that is traced; nothing at all where the Traits have no tracer.
#ifndef TIDEPOOL_DETAIL_SHELL_SPAN_HPP
#define TIDEPOOL_DETAIL_SHELL_SPAN_HPP

#include <optional>
#include <string_view>
#include <type_traits>
#include <utility>

#include "../../time.hpp"
#include "../../tracing.hpp"
#include "../../traits.hpp"
#include "../../version.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail {

template <class Traits>
struct tracer_choice {
  using type = null_tracer;
};
template <class Traits>
requires requires { typename Traits::tracer; }
struct tracer_choice<Traits> {
  using type = typename Traits::tracer;
};
/// Traits without a tracer have none.
template <class Traits>
using tracer_of = typename tracer_choice<Traits>::type;
template <class Traits>
inline constexpr bool is_traced = !std::is_same_v<tracer_of<Traits>, null_tracer>;

/// Ends once: when it is told, or with this object. The tracer has to live longer. Not to be used under the pool's lock.
template <class Traits>
class span {
 public:
  span() = default;
  span(span&& other) noexcept
      : to_(std::exchange(other.to_, nullptr)), context_(other.context_), step_(other.step_), began_(other.began_) {}
  span& operator=(span&& other) noexcept {
    if (this != &other) {
      end("given up");
      to_ = std::exchange(other.to_, nullptr);
      context_ = other.context_;
      step_ = other.step_;
      began_ = other.began_;
    }
    return *this;
  }
  ~span() { end("given up"); }

  void begin(tracer_of<Traits>& to, const trace_start& what) noexcept {
    try {
      const std::optional<trace_context> made = to.start(what);
      if (!made) return;
      context_ = *made;
    } catch (...) {  // a tracer's trouble is not the pool's
      return;
    }
    to_ = &to;
    step_ = what.step;
    began_ = precise_now<Traits>();
  }
  /// Of what is done within it. Empty where it is not sampled.
  trace_context context() const noexcept { return to_ ? context_ : trace_context(); }
  void end(std::string_view error, connection_id id = 0) noexcept {
    if (!to_) return;
    try {
      std::exchange(to_, nullptr)->end(context_, trace_end{step_, precise_now<Traits>() - began_, error, id, {}});
    } catch (...) {
    }
  }

 private:
  tracer_of<Traits>* to_ = nullptr;
  trace_context context_{};
  trace_step step_{};
  tick began_{};
};
template <class Traits>
requires(!is_traced<Traits>) class span<Traits> {
 public:
  void end(std::string_view, connection_id = 0) noexcept {}
};

/// For the statements of the connection's next user.
template <class Target>
void trace_in(Target* target, const trace_context& parent) noexcept {
  if constexpr (has_trace_in<Target>) {
    if (target) target->trace_in(parent);
  }
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail

#endif
