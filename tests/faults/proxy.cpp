// SPDX-License-Identifier: BSL-1.0
// tidepool - a TCP proxy on loopback that does to connections what networks do.
#include "proxy.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <mutex>
#include <optional>
#include <random>
#include <set>
#include <string_view>
#include <thread>
#include <vector>

#include <tidepool/detail/driver/asio_io.hpp>

#include <asio/connect.hpp>  // after the shim, which sets Asio up
#include <asio/write.hpp>

namespace tidepool_faults {
namespace {

namespace asio = tidepool::asio;
using tcp = asio::ip::tcp;
using namespace std::chrono_literals;

/// One fault at one place of one connection.
struct flaw {
  std::size_t at = 0;
  unsigned char mask = 0;
  bool cuts = false;
};

struct link {
  explicit link(asio::io_context& io) : client(io), server(io) {}
  tcp::socket client;
  tcp::socket server;
  std::array<std::optional<flaw>, 2> flaws;
  std::array<std::size_t, 2> passed{};

  void shut(bool with_reset) {
    for (tcp::socket* end : {&client, &server}) {
      std::error_code ignored;
      if (with_reset) end->set_option(asio::socket_base::linger(true, 0), ignored);
      end->close(ignored);
    }
  }
};

}  // namespace

struct proxy::inside {
  explicit inside(unsigned target)
      : acceptor(io, tcp::endpoint(asio::ip::address_v4::loopback(), 0)),
        server(asio::ip::address_v4::loopback(), static_cast<unsigned short>(target)) {}

  asio::awaitable<void> accept() {
    for (;;) {
      auto one = std::make_shared<link>(io);
      co_await acceptor.async_accept(one->client, asio::use_awaitable);
      ++accepted;
      links.insert(one);
      {
        const std::lock_guard lock(mutex);
        one->flaws = next;
        next = {};
      }
      asio::co_spawn(io, serve(one), asio::detached);
    }
  }

  asio::awaitable<void> pause(std::chrono::steady_clock::duration span) {
    asio::steady_timer timer(io);
    timer.expires_after(span);
    co_await timer.async_wait(asio::use_awaitable);
  }

  asio::awaitable<void> serve(std::shared_ptr<link> one) {
    try {
      if (resets) {
        one->shut(true);
        links.erase(one);
        co_return;
      }
      while (hole) co_await pause(5ms);
      co_await one->server.async_connect(server, asio::use_awaitable);
      one->client.set_option(tcp::no_delay(true));
      one->server.set_option(tcp::no_delay(true));
      asio::co_spawn(io, pump(one, way::to_server), asio::detached);
      asio::co_spawn(io, pump(one, way::to_client), asio::detached);
    } catch (const std::system_error&) {
      one->shut(false);
      links.erase(one);
    }
  }

  asio::awaitable<void> pump(std::shared_ptr<link> one, way direction) {
    const auto which = static_cast<std::size_t>(direction);
    tcp::socket& from = direction == way::to_server ? one->client : one->server;
    tcp::socket& to = direction == way::to_server ? one->server : one->client;
    std::array<char, 16384> buffer{};
    try {
      const auto& planned = one->flaws[which];
      for (;;) {
        // A cut before the first byte needs no byte to come.
        if (planned && planned->cuts && one->passed[which] >= planned->at) break;
        const std::size_t room = chunk > 0 ? std::min<std::size_t>(chunk, buffer.size()) : buffer.size();
        std::size_t size = co_await from.async_read_some(asio::buffer(buffer.data(), room), asio::use_awaitable);
        while (hole) co_await pause(5ms);
        if (late.load() > 0) co_await pause(std::chrono::microseconds(jittered()));
        if (direction == way::to_server && one->passed[which] == 0 && denies_tls) {
          co_await asio::async_write(from, asio::buffer("N", 1), asio::use_awaitable);
          one->passed[which] += size;
          continue;
        }
        if (direction == way::to_server && one->passed[which] == 0) {
          const std::string instead = tls_answer();
          if (!instead.empty()) {
            co_await asio::async_write(from, asio::buffer(instead), asio::use_awaitable);
            const std::string then = second_answer();
            if (!then.empty()) {
              co_await from.async_read_some(asio::buffer(buffer), asio::use_awaitable);
              co_await asio::async_write(from, asio::buffer(then), asio::use_awaitable);
            }
            co_await pause(20ms);
            break;
          }
        }
        if (planned) {
          if (planned->cuts) size = std::min(size, planned->at - one->passed[which]);
          if (!planned->cuts && planned->at >= one->passed[which] && planned->at < one->passed[which] + size) {
            char& hit = buffer[planned->at - one->passed[which]];
            hit = static_cast<char>(static_cast<unsigned char>(hit) ^ planned->mask);
          }
        }
        if (direction == way::to_client) listen(std::string_view(buffer.data(), size));
        co_await asio::async_write(to, asio::buffer(buffer.data(), size), asio::use_awaitable);
        one->passed[which] += size;
      }
    } catch (const std::system_error&) {
      // The end of a connection ends both directions.
    }
    {
      const std::lock_guard lock(mutex);
      passed = one->passed;
    }
    one->shut(false);
    links.erase(one);
  }

  long jittered() {
    const std::lock_guard lock(mutex);
    const long middle = late.load();
    return std::uniform_int_distribution<long>(middle - middle / 3, middle + middle / 3)(random);
  }
  void listen(std::string_view said) {
    const std::lock_guard lock(mutex);
    if (awaited.empty() || heard != unheard || said.find(awaited) == std::string_view::npos) return;
    heard = std::chrono::steady_clock::now();
  }
  std::string tls_answer() {
    const std::lock_guard lock(mutex);
    return instead_of_tls;
  }

  std::string second_answer() {
    const std::lock_guard lock(mutex);
    return after_that;
  }

  asio::io_context io{1};
  tcp::acceptor acceptor;
  tcp::endpoint server;
  std::set<std::shared_ptr<link>> links;
  std::atomic<int> accepted{0};
  std::atomic<bool> hole{false};
  std::atomic<bool> resets{false};
  std::atomic<bool> denies_tls{false};
  std::atomic<long> late{0};  // microseconds
  std::atomic<std::size_t> chunk{0};
  mutable std::mutex mutex;
  std::array<std::optional<flaw>, 2> next;
  std::array<std::size_t, 2> passed{};
  std::string instead_of_tls;
  std::string after_that;
  std::string awaited;
  static constexpr auto unheard = std::chrono::steady_clock::time_point::max();
  std::chrono::steady_clock::time_point heard = unheard;
  std::minstd_rand random{4711};
  std::thread thread;
};

proxy::proxy(unsigned target_port) : in_(std::make_unique<inside>(target_port)) {
  asio::co_spawn(in_->io, in_->accept(), asio::detached);
  in_->thread = std::thread([this] { in_->io.run(); });
}
proxy::~proxy() {
  in_->io.stop();
  in_->thread.join();
  in_->links.clear();
}

unsigned proxy::port() const { return in_->acceptor.local_endpoint().port(); }
void proxy::black_hole(bool on) { in_->hole = on; }
void proxy::reset_everything(bool on) {
  in_->resets = on;
  if (!on) return;
  asio::post(in_->io, [this] {
    for (const auto& one : std::vector<std::shared_ptr<link>>(in_->links.begin(), in_->links.end())) one->shut(true);
  });
}
void proxy::delay(std::chrono::milliseconds each_way) { in_->late = static_cast<long>(each_way.count() * 1000); }
void proxy::chop(std::size_t bytes) { in_->chunk = bytes; }
void proxy::cut_next(way direction, std::size_t after) {
  const std::lock_guard lock(in_->mutex);
  in_->next[static_cast<std::size_t>(direction)] = flaw{after, 0, true};
}
void proxy::corrupt_next(way direction, std::size_t at, unsigned char mask) {
  const std::lock_guard lock(in_->mutex);
  in_->next[static_cast<std::size_t>(direction)] = flaw{at, mask, false};
}
void proxy::answer_tls_request(const std::string& instead, const std::string& then) {
  const std::lock_guard lock(in_->mutex);
  in_->instead_of_tls = instead;
  in_->after_that = then;
}
void proxy::deny_tls(bool on) { in_->denies_tls = on; }
void proxy::listen_for(const std::string& text) {
  const std::lock_guard lock(in_->mutex);
  in_->awaited = text;
  in_->heard = inside::unheard;
}
std::chrono::steady_clock::time_point proxy::heard() const {
  const std::lock_guard lock(in_->mutex);
  return in_->heard;
}
int proxy::accepted() const { return in_->accepted; }
std::size_t proxy::passed(way direction) const {
  const std::lock_guard lock(in_->mutex);
  return in_->passed[static_cast<std::size_t>(direction)];
}

}  // namespace tidepool_faults
