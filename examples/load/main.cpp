// SPDX-License-Identifier: BSL-1.0
// tidepool - a load generator for the example service: many clients, each with one request under way, each request with an end.
//
//   load PORT CLIENTS RESULT [TIMELINE]
//       Reads names of phases from standard input, a line each; the end of the input ends the run. RESULT is a file for numbers. Exit
//       status 0: every request was answered, every transfer confirmed. TIMELINE gets a line each 100 ms: milliseconds of Unix time, good
//       reads, good transfers, failed requests; with it a client does only reads or only transfers, with pauses of 20 ms.
//   load PORT get PATH
//       One request; prints the body.
//
// Half of the requests read an account, most others transfer money, some are slow queries. A transfer that fails is tried again with the
// same key until it is confirmed, as a client does who wants to be sure.
#include <asio/co_spawn.hpp>
#include <asio/io_context.hpp>
#include <asio/posix/stream_descriptor.hpp>
#include <asio/read_until.hpp>
#include <asio/steady_timer.hpp>
#include <cstdlib>
#include <memory>
#include <random>
#include <string_view>

#include "../service/http_stream.hpp"
#include "tally.hpp"

#include <unistd.h>

namespace {

using namespace std::chrono_literals;
using tcp = asio::ip::tcp;

constexpr auto longest_run = 2min;
constexpr auto patience = 30s;  // for one answer, and for a transfer to be confirmed once the run is over

asio::awaitable<void> pause(steady_clock::duration time) {
  asio::steady_timer timer(co_await asio::this_coro::executor, time);
  co_await timer.async_wait(asio::use_awaitable);
}

/// One connection to the service, made anew when it breaks.
class client {
 public:
  explicit client(unsigned short port) : service_(asio::ip::address_v4::loopback(), port) {}

  /// The answer, or an exception, within `patience`.
  asio::awaitable<http::message> ask(const std::string& method, const std::string& path) {
    const auto executor = co_await asio::this_coro::executor;
    const bool fresh = !line_;
    if (fresh) line_ = std::make_shared<http::stream>(tcp::socket(executor), HTTP_RESPONSE);
    const auto line = std::exchange(line_, nullptr);
    asio::steady_timer watchdog(executor, patience);
    watchdog.async_wait([line](std::error_code cancelled) {
      if (!cancelled) line->socket().close();
    });
    if (fresh) co_await line->socket().async_connect(service_, asio::use_awaitable);
    co_await line->write(method + " " + path + " HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n");
    auto answer = co_await line->read();
    if (!answer) throw http::protocol_error("closed without an answer");
    if (answer->keep_alive) line_ = line;
    co_return std::move(*answer);
  }

 private:
  tcp::endpoint service_;
  std::shared_ptr<http::stream> line_;
};

/// How a coroutine that nobody waits for ends: what it throws ends the program in words.
void rethrow(std::exception_ptr failed) {
  if (failed) std::rethrow_exception(failed);
}

class run {
 public:
  run(asio::io_context& io, unsigned short port) : io_(io), port_(port), input_(io, ::dup(STDIN_FILENO)) {}

  void start(unsigned clients, const char* timeline) {
    counts_.begin("warm up");
    split_ = timeline != nullptr;
    for (unsigned i = 0; i < clients; ++i) asio::co_spawn(io_, customer(i), rethrow);
    asio::co_spawn(io_, read_phases(), rethrow);
    asio::co_spawn(io_, watch_health(), rethrow);
    asio::co_spawn(io_, show_progress(), rethrow);
    if (split_) asio::co_spawn(io_, draw_timeline(timeline), rethrow);
  }
  /// To be called when the io_context has nothing left to do.
  bool report(const char* file) {
    counts_.report();
    std::printf("transfers: %lu confirmed, %lu of them after being tried again, %lu unconfirmed; requests without an answer: %lu\n",
                confirmed_, repeated_, unconfirmed_, unanswered_);
    std::ofstream out(file);
    counts_.write(out);
    out << "confirmed=" << confirmed_ << "\nunconfirmed=" << unconfirmed_ << "\nunanswered=" << unanswered_ << '\n';
    return unconfirmed_ == 0 && unanswered_ == 0 && out.flush().good();
  }

 private:
  asio::awaitable<void> customer(unsigned number) {
    std::mt19937 random(number);
    const auto up_to = [&random](unsigned n) { return std::to_string(std::uniform_int_distribution<unsigned>(1, n)(random)); };
    client to(port_);
    for (unsigned long step = 0; !over_; ++step) {
      if (split_) co_await pause(20ms);
      const unsigned dice = !split_ ? std::uniform_int_distribution<unsigned>(0, 99)(random) : number % 2 == 0 ? 0 : 99;
      if (dice < 50) {
        co_await request(to, "GET", "/accounts/" + up_to(1000));
      } else if (dice < 55) {
        co_await request(to, "GET", "/slow/20");
      } else {
        const std::string key = std::to_string(port_) + "." + std::to_string(number) + "." + std::to_string(step);
        co_await transfer(to, "/transfers/" + key + "/" + up_to(1000) + "/" + up_to(1000) + "/" + up_to(100));
      }
    }
  }
  asio::awaitable<void> transfer(client& to, std::string path) {
    for (unsigned tries = 1;; ++tries) {
      const bool done = co_await request(to, "PUT", path);
      if (done) {
        ++confirmed_;
        repeated_ += tries > 1;
        co_return;
      }
      if (over_ && steady_clock::now() > over_since_ + patience) break;
    }
    ++unconfirmed_;
  }
  /// True for a good answer. After a bad one it waits a little, as the service would like its clients to.
  asio::awaitable<bool> request(client& to, std::string method, std::string path) {
    const auto start = steady_clock::now();
    std::string trouble;
    try {
      const auto answer = co_await to.ask(method, path);
      if (answer.status != 200) trouble = std::to_string(answer.status) + " " + answer.body;
    } catch (const std::exception& error) {
      trouble = std::string("no answer: ") + error.what();
      ++unanswered_;
    }
    counts_.count(steady_clock::now() - start, trouble);
    ++(!trouble.empty() ? failed_lately_ : method == "PUT" ? transfers_lately_ : reads_lately_);
    if (!trouble.empty()) co_await pause(50ms);
    co_return trouble.empty();
  }

  asio::awaitable<void> read_phases() {
    std::string text;
    for (;;) {
      std::error_code end;
      const auto size =
          co_await asio::async_read_until(input_, asio::dynamic_buffer(text), '\n', asio::redirect_error(asio::use_awaitable, end));
      if (end) break;
      counts_.begin(text.substr(0, size - 1));
      text.erase(0, size);
    }
    over_ = true;
    over_since_ = steady_clock::now();
  }
  /// Prints what stays for a moment.
  asio::awaitable<void> watch_health() {
    client to(port_);
    std::string seen, printed;
    for (int times = 1; !over_; ++times) {
      std::string now;
      try {
        const auto answer = co_await to.ask("GET", "/healthz");
        now = answer.body;
      } catch (const std::exception& error) {
        now = error.what();
      }
      if (now != seen) times = 1;
      seen = now;
      if (times == 4 && seen != printed) {
        std::printf("             healthz: %s\n", seen.c_str());
        printed = seen;
      }
      co_await pause(50ms);
    }
  }
  asio::awaitable<void> draw_timeline(std::string file) {
    std::ofstream out(file);
    asio::steady_timer timer(io_, steady_clock::now());
    while (!over_) {
      timer.expires_at(timer.expiry() + 100ms);
      co_await timer.async_wait(asio::use_awaitable);
      const auto now = std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch());
      out << now.count() << ' ' << std::exchange(reads_lately_, 0) << ' ' << std::exchange(transfers_lately_, 0) << ' '
          << std::exchange(failed_lately_, 0) << '\n';
    }
  }
  asio::awaitable<void> show_progress() {
    const auto start = steady_clock::now();
    while (!over_) {
      co_await pause(1s);
      counts_.progress();
      if (steady_clock::now() > start + longest_run) input_.close();
    }
  }

  asio::io_context& io_;
  unsigned short port_;
  asio::posix::stream_descriptor input_;
  tally counts_;
  bool over_ = false;
  bool split_ = false;  ///< no client that reads waits for a transfer, and the machine is not busy
  steady_clock::time_point over_since_;
  unsigned long confirmed_ = 0, repeated_ = 0, unconfirmed_ = 0, unanswered_ = 0;
  unsigned long reads_lately_ = 0, transfers_lately_ = 0, failed_lately_ = 0;
};

asio::awaitable<void> get(unsigned short port, std::string path, int& status) {
  client to(port);
  const auto answer = co_await to.ask("GET", path);
  status = answer.status;
  std::printf("%s\n", answer.body.c_str());
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc != 4 && argc != 5) {
    std::fprintf(stderr, "usage: load PORT CLIENTS RESULT [TIMELINE] <phases\n       load PORT get PATH\n");
    return 2;
  }
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  asio::io_context io(1);
  const auto port = static_cast<unsigned short>(std::atoi(argv[1]));
  if (std::string_view(argv[2]) == "get") {
    int status = 0;
    asio::co_spawn(io, get(port, argv[3], status), rethrow);
    io.run();
    return status == 200 ? 0 : 1;
  }
  run all(io, port);
  all.start(static_cast<unsigned>(std::atoi(argv[2])), argv[4]);
  io.run();
  return all.report(argv[3]) ? 0 : 1;
} catch (const std::exception& error) {
  std::fprintf(stderr, "load: %s\n", error.what());
  return 1;
}
