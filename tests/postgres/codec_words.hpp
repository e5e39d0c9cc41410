// SPDX-License-Identifier: BSL-1.0
// tidepool - codecs without a server: what they write, read and refuse, and with which words.
#ifndef TIDEPOOL_TESTS_POSTGRES_CODEC_WORDS_HPP
#define TIDEPOOL_TESTS_POSTGRES_CODEC_WORDS_HPP

#include <string>
#include <string_view>

#include "kit.hpp"

namespace tidepool_tests::codec_words {

template <class T>
std::string text_of(const T& value) {
  std::string out;
  pg::codec<T>::encode(out, value);
  return out;
}
template <class T>
T read(std::string_view text) {
  return pg::codec<T>::decode(text);
}
/// What an error of this kind says; anything else is said as well.
template <class F>
std::string refused(pg::errc reason, F&& f) {
  try {
    f();
  } catch (const pg::error& failure) {
    return failure.reason() == reason ? std::string(failure.explanation()) : "another reason: " + std::string(failure.explanation());
  }
  return "taken";
}
template <class T>
std::string unreadable(std::string_view text, pg::errc reason = pg::errc::conversion) {
  return refused(reason, [&] { (void)read<T>(text); });
}
template <class T>
std::string unsendable(const T& value) {
  return refused(pg::errc::bad_parameter, [&] { (void)text_of(value); });
}
inline bool has(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

}  // namespace tidepool_tests::codec_words

#endif
