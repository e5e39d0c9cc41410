// SPDX-License-Identifier: BSL-1.0
// tidepool - recordings: names, bytes and files, JSON lines.
#ifndef TIDEPOOL_IMPL_RECORDING_IPP
#define TIDEPOOL_IMPL_RECORDING_IPP

#include <array>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "../detail/util/json_writer.hpp"
#include "../recording.hpp"
#include "../version.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE {

const char* to_string(recorded_kind kind) noexcept {
  constexpr const char* names[] = {"?",         "taken",      "missed",    "asked",          "granted",    "refused",
                                   "returned",  "connecting", "connected", "connect_failed", "work_begun", "work_ended",
                                   "destroyed", "leak",       "breaker",   "state",          "scaled",     "verb"};
  return kind > recorded_kind::verb ? "?" : names[static_cast<std::size_t>(kind)];
}
const char* to_string(recorded_verb verb) noexcept {
  constexpr const char* names[] = {"open", "close", "suspend", "resume", "resize", "recycle", "reconfigure"};
  return verb > recorded_verb::reconfigure ? "?" : names[static_cast<std::size_t>(verb)];
}
const char* to_string(recording_reason reason) noexcept {
  constexpr const char* names[] = {"request", "timeout", "leak", "breaker"};
  return reason > recording_reason::breaker ? "?" : names[static_cast<std::size_t>(reason)];
}

TIDEPOOL_LAZY_BODY pool_config recording::config() const { return pool_config::from_string(configuration); }

std::string recording::place(std::uint16_t index) const {
  if (index == 0 || index >= places.size()) return "?";
  return places[index].file + ":" + std::to_string(places[index].line);
}

// --- bytes ------------------------------------------------------------------------------------------------------------

namespace detail {

inline constexpr std::string_view recording_magic{"\x89TPREC\r\n", 8};
inline constexpr std::uint32_t recording_version = 1;
inline constexpr std::size_t recorded_event_bytes = 32;

/// CRC-32 as in zlib and PNG.
inline std::uint32_t crc_of(std::string_view bytes) noexcept {
  static constexpr auto table = [] {
    std::array<std::uint32_t, 256> out{};
    for (std::uint32_t i = 0; i < 256; ++i) {
      std::uint32_t c = i;
      for (int bit = 0; bit < 8; ++bit) c = (c & 1u) != 0 ? 0xEDB88320u ^ (c >> 1) : c >> 1;
      out[i] = c;
    }
    return out;
  }();
  std::uint32_t c = 0xFFFFFFFFu;
  for (const char b : bytes) c = table[(c ^ static_cast<unsigned char>(b)) & 0xFFu] ^ (c >> 8);
  return c ^ 0xFFFFFFFFu;
}

class recording_writer {
 public:
  template <class T>
  void number(T value) {
    auto rest = static_cast<std::uint64_t>(value);
    for (std::size_t i = 0; i < sizeof(T); ++i, rest >>= 8) out_ += static_cast<char>(rest & 0xFFu);
  }
  void time(duration value) { number(value.count()); }
  void text(std::string_view value) {
    number(static_cast<std::uint32_t>(value.size()));
    out_ += value;
  }
  void raw(std::string_view value) { out_ += value; }
  std::string& bytes() noexcept { return out_; }

 private:
  std::string out_;
};

/// Reads what is there, and says what is not.
class recording_reader {
 public:
  explicit recording_reader(std::string_view bytes) : rest_(bytes), size_(bytes.size()) {}

  template <class T>
  T number(const char* what) {
    const std::string_view from = raw(sizeof(T), what);
    std::uint64_t value = 0;
    for (std::size_t i = sizeof(T); i-- > 0;) value = value << 8 | static_cast<unsigned char>(from[i]);
    return static_cast<T>(value);
  }
  duration time(const char* what) { return duration(number<std::int64_t>(what)); }
  std::string text(const char* what, std::size_t most) {
    const auto length = number<std::uint32_t>(what);
    if (length > most) fail(std::string(what) + " has " + std::to_string(length) + " bytes, " + std::to_string(most) + " is the most");
    return std::string(raw(length, what));
  }
  std::string_view raw(std::size_t length, const char* what) {
    if (length > rest_.size()) fail(std::string("it ends within ") + what + ", after " + std::to_string(size_) + " bytes");
    const std::string_view out = rest_.substr(0, length);
    rest_.remove_prefix(length);
    return out;
  }
  std::size_t left() const noexcept { return rest_.size(); }

  [[noreturn]] static void fail(const std::string& what) { throw recording_error("recording: " + what); }

 private:
  std::string_view rest_;
  std::size_t size_;
};

/// How many codes an event of this kind has; 0: a kind that this version does not know.
inline unsigned codes_of(recorded_kind kind) noexcept {
  switch (kind) {
    case recorded_kind::taken: return 2;
    case recorded_kind::refused: return static_cast<unsigned>(errc::cancelled) + 1;
    case recorded_kind::returned: return static_cast<unsigned>(lease_over::detached) + 1;
    case recorded_kind::connect_failed: return static_cast<unsigned>(failure_kind::refused) + 1;
    case recorded_kind::work_begun: return static_cast<unsigned>(connection_work::close) + 1;
    case recorded_kind::work_ended: return static_cast<unsigned>(work_end::gave_up) + 1;
    case recorded_kind::destroyed: return static_cast<unsigned>(close_reason::count_);
    case recorded_kind::leak: return static_cast<unsigned>(leak_event::kind::reclaimed) + 1;
    case recorded_kind::breaker_changed: return static_cast<unsigned>(breaker_state::half_open) + 1;
    case recorded_kind::state_changed: return static_cast<unsigned>(pool_state::closed) + 1;
    case recorded_kind::verb: return static_cast<unsigned>(recorded_verb::reconfigure) + 1;
    case recorded_kind::missed:
    case recorded_kind::asked:
    case recorded_kind::granted:
    case recorded_kind::connect_begun:
    case recorded_kind::connected:
    case recorded_kind::scaled: return 1;
  }
  return 0;
}

inline recorded_event read_event(recording_reader& in, std::size_t index, std::size_t places) {
  recorded_event e;
  e.at = in.time("an event");
  const auto kind = in.number<std::uint8_t>("an event");
  e.kind = static_cast<recorded_kind>(kind);
  e.code = in.number<std::uint8_t>("an event");
  e.place = in.number<std::uint16_t>("an event");
  in.number<std::uint32_t>("an event");
  e.subject = in.number<std::uint64_t>("an event");
  e.value = in.number<std::uint64_t>("an event");
  const auto refuse = [&](const std::string& what) { recording_reader::fail("event " + std::to_string(index) + " " + what); };
  const unsigned codes = codes_of(e.kind);
  if (codes == 0) refuse("is of kind " + std::to_string(kind) + ", which this version does not know");
  const bool given_up = e.kind == recorded_kind::connect_failed && e.code == recorded_event::gave_up;
  if (e.code >= codes && !given_up) refuse(std::string("(") + to_string(e.kind) + ") has the code " + std::to_string(e.code));
  if (e.place >= places) refuse("has place " + std::to_string(e.place) + " of " + std::to_string(places));
  return e;
}

}  // namespace detail

std::string recording::to_bytes() const {
  detail::recording_writer out;
  out.bytes().reserve(4096 + configuration.size() + events.size() * detail::recorded_event_bytes);
  out.raw(detail::recording_magic);
  out.number(detail::recording_version);
  out.number(static_cast<std::uint32_t>(reason));
  out.number(static_cast<std::uint32_t>((validates ? 1 : 0) | (says_goodbye ? 2 : 0)));
  out.time(made_at);
  out.number(unix_time);
  out.number(seed);
  out.number(lost);
  out.number(torn);
  out.time(latest_connect);
  out.text(pool);
  out.text(configuration);
  out.number(static_cast<std::uint32_t>(places.size()));
  for (const recorded_place& p : places) {
    out.number(p.line);
    out.text(p.file);
  }
  out.number(static_cast<std::uint64_t>(events.size()));
  for (const recorded_event& e : events) {
    out.time(e.at);
    out.number(static_cast<std::uint8_t>(e.kind));
    out.number(e.code);
    out.number(e.place);
    out.number(std::uint32_t{0});
    out.number(e.subject);
    out.number(e.value);
  }
  out.number(detail::crc_of(out.bytes()));
  return std::move(out.bytes());
}

recording recording::from_bytes(std::string_view bytes) {
  using detail::recording_reader;
  recording_reader in(bytes);
  if (in.left() < detail::recording_magic.size() || in.raw(detail::recording_magic.size(), "") != detail::recording_magic)
    recording_reader::fail("these bytes are none: they do not begin as one does");
  const auto version = in.number<std::uint32_t>("the header");
  if (version != detail::recording_version)
    recording_reader::fail("it has version " + std::to_string(version) + " of the format, this reader knows version " +
                           std::to_string(detail::recording_version));
  recording out;
  const auto why = in.number<std::uint32_t>("the header");
  if (why > static_cast<std::uint32_t>(recording_reason::breaker)) recording_reader::fail("its reason is " + std::to_string(why));
  out.reason = static_cast<recording_reason>(why);
  const auto abilities = in.number<std::uint32_t>("the header");
  out.validates = (abilities & 1u) != 0;
  out.says_goodbye = (abilities & 2u) != 0;
  out.made_at = in.time("the header");
  out.unix_time = in.number<std::int64_t>("the header");
  out.seed = in.number<std::uint64_t>("the header");
  out.lost = in.number<std::uint64_t>("the header");
  out.torn = in.number<std::uint64_t>("the header");
  out.latest_connect = in.time("the header");
  out.pool = in.text("the pool's name", 63);
  out.configuration = in.text("the configuration", 64 * 1024);
  const auto places = in.number<std::uint32_t>("the places");
  if (places < 1 || places > 65536) recording_reader::fail("it has " + std::to_string(places) + " places");
  out.places.clear();
  for (std::uint32_t i = 0; i < places; ++i) {
    recorded_place p;
    p.line = in.number<std::uint32_t>("the places");
    p.file = in.text("the name of a file", 255);
    out.places.push_back(std::move(p));
  }
  const auto count = in.number<std::uint64_t>("the number of events");
  if (count > in.left() / detail::recorded_event_bytes)
    recording_reader::fail("it ends after " + std::to_string(in.left() / detail::recorded_event_bytes) + " of " + std::to_string(count) +
                           " events");
  out.events.reserve(static_cast<std::size_t>(count));
  for (std::uint64_t i = 0; i < count; ++i) {
    out.events.push_back(detail::read_event(in, static_cast<std::size_t>(i), out.places.size()));
    if (i > 0 && out.events[i].at < out.events[i - 1].at)
      recording_reader::fail("event " + std::to_string(i) + " is earlier than the one before");
    // Whatever is calculated with these times then fits.
    if (out.events[i].at > out.made_at || out.events[i].at < duration::zero())
      recording_reader::fail("event " + std::to_string(i) + " is not of the time before it was made");
  }
  const auto sum = in.number<std::uint32_t>("the checksum");
  if (in.left() > 0) recording_reader::fail(std::to_string(in.left()) + " bytes follow after its end");
  if (sum != detail::crc_of(bytes.substr(0, bytes.size() - 4))) recording_reader::fail("it is damaged: its checksum is another one");
  return out;
}

void recording::save(const std::string& path) const {
  const std::string part = path + ".part";
  const std::string bytes = to_bytes();
  {
    std::ofstream out(part, std::ios::binary | std::ios::trunc);
    out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    out.flush();
    if (!out) {
      out.close();
      std::remove(part.c_str());
      throw recording_error("recording: '" + part + "' cannot be written");
    }
  }
#if defined(_WIN32)
  std::remove(path.c_str());  // rename() does not replace there
#endif
  if (std::rename(part.c_str(), path.c_str()) == 0) return;
  std::remove(part.c_str());
  throw recording_error("recording: '" + path + "' cannot be written");
}

recording recording::load(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) throw recording_error("recording: '" + path + "' cannot be read");
  const std::string bytes{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  return from_bytes(bytes);
}

// --- JSON lines -------------------------------------------------------------------------------------------------------

namespace detail {

/// The code of an event in words; empty where it says nothing.
inline std::string_view code_words(const recorded_event& e) noexcept {
  constexpr const char* ends[] = {"released", "discarded", "detached"};
  constexpr const char* works[] = {"validate", "reset", "close"};
  constexpr const char* work_ends[] = {"done", "failed", "gave_up"};
  constexpr const char* leaks[] = {"detected", "returned", "reclaimed"};
  constexpr const char* failures[] = {"transient", "permanent", "server_full", "starting", "wrong_role", "refused"};
  constexpr const char* refusals[] = {"", "timeout", "closed", "queue_full", "circuit_open", "connect_failed", "cancelled"};
  const bool given_up = e.kind == recorded_kind::connect_failed && e.code == recorded_event::gave_up;
  if (given_up) return "gave_up";
  if (e.code >= codes_of(e.kind)) return "?";
  switch (e.kind) {
    case recorded_kind::taken: return e.code == 1 ? "tried" : "";
    case recorded_kind::refused: return refusals[e.code];
    case recorded_kind::returned: return ends[e.code];
    case recorded_kind::connect_failed: return failures[e.code];
    case recorded_kind::work_begun: return works[e.code];
    case recorded_kind::work_ended: return work_ends[e.code];
    case recorded_kind::destroyed: return to_string(static_cast<close_reason>(e.code));
    case recorded_kind::leak: return leaks[e.code];
    case recorded_kind::breaker_changed: return to_string(static_cast<breaker_state>(e.code));
    case recorded_kind::state_changed: return to_string(static_cast<pool_state>(e.code));
    case recorded_kind::verb: return to_string(static_cast<recorded_verb>(e.code));
    default: return "";
  }
}

inline void add_seconds(json_writer& out, const char* key, std::uint64_t ns) {
  const auto length = static_cast<duration::rep>(ns);
  length == (duration::max)().count() ? out.add(key, std::string_view("none")) : out.add(key, duration(length));
}

inline std::string json_of(const recorded_event& e, const recording& of) {
  json_writer out;
  out.open();
  out.add("at", e.at - of.begins_at());
  out.add("event", std::string_view(to_string(e.kind)));
  if (const auto words = code_words(e); !words.empty()) out.add("what", words);
  switch (e.kind) {
    case recorded_kind::taken:
      out.add("connection", e.subject);
      add_seconds(out, "timeout", e.value);
      break;
    case recorded_kind::asked:
      out.add("caller", e.subject);
      add_seconds(out, "timeout", e.value);
      break;
    case recorded_kind::granted:
      out.add("caller", e.subject);
      out.add("connection", e.value);
      break;
    case recorded_kind::refused: out.add("caller", e.subject); break;
    case recorded_kind::connected:
      out.add("connection", e.subject);
      add_seconds(out, "took", e.value);
      break;
    case recorded_kind::destroyed:
      out.add("connection", e.subject);
      add_seconds(out, "age", e.value);
      break;
    case recorded_kind::leak:
      out.add("connection", e.subject);
      add_seconds(out, "held", e.value);
      break;
    case recorded_kind::scaled:
      out.add("from", e.subject);
      out.add("to", e.value);
      break;
    case recorded_kind::returned:
    case recorded_kind::connect_begun:
    case recorded_kind::connect_failed:
    case recorded_kind::work_begun:
    case recorded_kind::work_ended: out.add("connection", e.subject); break;
    default: break;
  }
  if (e.place != 0) out.add("place", std::string_view(of.place(e.place)));
  out.close();
  return out.take();
}

}  // namespace detail

std::string recording::to_json_lines() const {
  detail::json_writer head;
  head.open();
  head.add("recording", std::string_view("tidepool"));
  head.add("version", std::uint64_t{detail::recording_version});
  head.add("pool", std::string_view(pool));
  head.add("reason", std::string_view(to_string(reason)));
  head.add("configuration", std::string_view(configuration));
  head.add("unix_time", static_cast<std::uint64_t>(unix_time / 1'000'000'000));
  head.add("length", length());
  head.add("lost", lost);
  head.add("torn", torn);
  head.add("events", static_cast<std::uint64_t>(events.size()));
  head.close();
  std::string out = head.take() + "\n";
  for (const recorded_event& e : events) out += detail::json_of(e, *this) + "\n";
  return out;
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE

#endif
