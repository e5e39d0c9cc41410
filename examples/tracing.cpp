// SPDX-License-Identifier: BSL-1.0
// tidepool - spans in the manner of OpenTelemetry: a handler's own span, and below it those of the acquire and of each statement. The API
// need not be installed: `otel_span` and `otel_tracer` stand for opentelemetry::trace::Span and Tracer, which the adapter would call in the
// same places. Statements are counted as well, by their tags. The connection needs no database; with a driver the same object goes into
// `settings.tracing`, say of postgres::options.
#include <tidepool/pool.hpp>
#include <tidepool/statement_times.hpp>

#include <iostream>
#include <map>
#include <memory>
#include <string>
#include <utility>

// --- the stand-in ----------------------------------------------------------------------------------------------------

struct otel_span {
  std::string name;
  tidepool::trace_context context;
  std::map<std::string, std::string> attributes;
  bool error = false;
  void end() const {
    std::cout << name << (error ? " (error)" : "");
    for (const auto& [key, value] : attributes) std::cout << " " << key << "=" << value;
    std::cout << "\n";
  }
};
struct otel_tracer {
  std::unique_ptr<otel_span> start(std::string name, const tidepool::trace_context& parent) {
    auto made = std::make_unique<otel_span>(otel_span{std::move(name), parent, {}});
    if (parent.empty()) made->context.trace_id[0] = ++last_;
    made->context.span_id[0] = ++last_;
    made->context.flags = 1;
    return made;
  }

 private:
  std::uint8_t last_ = 0;
};

// --- the adapter -----------------------------------------------------------------------------------------------------

class otel_tracing final : public tidepool::tracing {
 public:
  std::optional<tidepool::trace_context> start(const tidepool::trace_start& what) noexcept override try {
    const bool statement = what.step == tidepool::trace_step::statement;
    auto span = tracer_.start(statement ? std::string(what.tag) : "pool." + std::string(to_string(what.step)), what.parent);
    if (statement) span->attributes["db.operation.name"] = what.tag;
    if (!what.prepared.empty()) span->attributes["db.prepared"] = what.prepared;
    if (!what.server.empty()) span->attributes["server.address"] = what.server;
    if (!what.pool.empty()) span->attributes["db.client.connection.pool.name"] = what.pool;
    if (what.where.line() > 0) span->attributes["code.line.number"] = std::to_string(what.where.line());
    tidepool::trace_context context = span->context;
    context.user = span.release();  // until end()
    return context;
  } catch (...) {
    return std::nullopt;  // out of memory: not sampled
  }
  void end(const tidepool::trace_context& context, const tidepool::trace_end& how) noexcept override try {
    const std::unique_ptr<otel_span> span(static_cast<otel_span*>(context.user));
    span->error = !how.error.empty();
    if (span->error) span->attributes["error.type"] = how.error;
    span->end();
  } catch (...) {
  }

 private:
  otel_tracer tracer_;
};

// --- a service -------------------------------------------------------------------------------------------------------

/// A connection that connects to nothing, and does what drivers do for each statement.
class session {
 public:
  explicit session(std::shared_ptr<tidepool::tracing> to) : to_(std::move(to)) {}
  void trace_in(const tidepool::trace_context& parent) noexcept { parent_ = parent; }  // the pool tells in whose trace it is used
  void exec(std::string_view tag) const {
    const auto span = to_->start({tidepool::trace_step::statement, parent_, {}, 0, {}, {}, tag, {}});
    if (span) to_->end(*span, {tidepool::trace_step::statement, std::chrono::milliseconds(3), {}, 0, tag});
  }

 private:
  std::shared_ptr<tidepool::tracing> to_;
  tidepool::trace_context parent_;
};

struct traced : tidepool::default_traits<session> {
  using tracer = tidepool::shared_tracer;
};
using session_pool = tidepool::basic_pool<session, traced>;

asio::awaitable<void> handle_request(session_pool& pool) {
  otel_span request{"GET /orders", {}, {}};
  request.context.trace_id = {1, 2, 3};  // of the header `traceparent`
  request.context.flags = 1;
  auto lease = co_await pool.acquire(request.context);  // this acquire, and the lease's statements, are part of the request
  lease->exec("SELECT");
  lease.release();
  request.end();
}

int main() {
  asio::io_context io;
  tidepool::pool_config config;
  config.name = "sessions";
  config.min_size = 1;
  // Spans of one in ten traces that begin here, and of those that a caller's flags ask for; each statement is counted.
  const auto spans = std::make_shared<tidepool::sampled_tracing>(std::make_shared<otel_tracing>(), 10);
  const auto times = std::make_shared<tidepool::statement_times>(spans);
  const auto connect = [times]() -> asio::awaitable<session> { co_return session(times); };
  session_pool pool(io, connect, config, {}, times);
  tidepool::run(io, pool, handle_request);
  std::cout << to_prometheus(*times, "postgresql").substr(0, 160) << "...\n";
}
