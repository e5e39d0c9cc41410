// SPDX-License-Identifier: BSL-1.0
// tidepool - inet and cidr as Asio's addresses and networks.
#ifndef TIDEPOOL_POSTGRES_TYPES_INET_HPP
#define TIDEPOOL_POSTGRES_TYPES_INET_HPP

#include <charconv>
#include <string>
#include <string_view>
#include <system_error>

#include "../../detail/util/asio_address.hpp"
#include "../../version.hpp"
#include "../codec.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres {

/// An address with the length of its network's prefix, as inet and cidr have it: 192.168.0.1/24.
class inet {
 public:
  /// 0.0.0.0/32.
  inet() = default;
  /// The address alone: a prefix of all its bits.
  inet(const asio::ip::address& address) : address_(address), prefix_length_(bits()) {}
  /// `errc::bad_parameter` for a prefix longer than the address.
  inet(const asio::ip::address& address, int prefix_length) : address_(address), prefix_length_(prefix_length) {
    if (prefix_length < 0 || prefix_length > bits()) {
      throw error(errc::bad_parameter,
                  "a prefix of " + std::to_string(prefix_length) + " bits for an address of " + std::to_string(bits()));
    }
  }

  const asio::ip::address& address() const noexcept { return address_; }
  int prefix_length() const noexcept { return prefix_length_; }
  /// Without a network: the prefix has all bits.
  bool is_host() const noexcept { return prefix_length_ == bits(); }
  friend bool operator==(const inet& a, const inet& b) noexcept { return a.address_ == b.address_ && a.prefix_length_ == b.prefix_length_; }

 private:
  int bits() const noexcept { return address_.is_v4() ? 32 : 128; }

  asio::ip::address address_;
  int prefix_length_ = 32;
};

/// inet and cidr. Which of the two the statement says, so that a cidr with bits beyond its prefix is refused by the server.
template <>
struct codec<inet> {
  static void encode(std::string& out, const inet& value) {
    if (value.address().is_v6() && value.address().to_v6().scope_id() != 0) {
      throw error(errc::bad_parameter, "an IPv6 address with a zone, which PostgreSQL does not have");
    }
    out += value.address().to_string();
    if (!value.is_host()) out += '/' + std::to_string(value.prefix_length());
  }
  static inet decode(std::string_view text) {
    const auto slash = text.find('/');
    error_code failure;
    const auto address = asio::ip::make_address(std::string(text.substr(0, slash)), failure);
    if (failure || text.find('%') != std::string_view::npos) throw conversion_error("an IP address");
    if (slash == std::string_view::npos) return {address};
    const auto digits = text.substr(slash + 1);
    int length = -1;
    const auto [end, wrong] = std::from_chars(digits.data(), digits.data() + digits.size(), length);
    const int most = address.is_v4() ? 32 : 128;
    if (wrong != std::errc() || end != digits.data() + digits.size() || length < 0 || length > most)
      throw conversion_error("an IP address");
    return {address, length};
  }
};

namespace detail {

inline asio::ip::address decode_host(std::string_view text) {
  const inet read = codec<inet>::decode(text);
  if (!read.is_host()) throw conversion_error("an address without a network: read a postgres::inet, or select host(...)");
  return read.address();
}
inline asio::ip::address_v4 only_v4(const asio::ip::address& address) {
  if (!address.is_v4()) throw conversion_error("an IPv4 address");
  return address.to_v4();
}
inline asio::ip::address_v6 only_v6(const asio::ip::address& address) {
  if (!address.is_v6()) throw conversion_error("an IPv6 address");
  return address.to_v6();
}

}  // namespace detail

/// inet of one host; one with a network is a conversion error, because the prefix would be lost.
template <>
struct codec<asio::ip::address> {
  static void encode(std::string& out, const asio::ip::address& value) { codec<inet>::encode(out, value); }
  static asio::ip::address decode(std::string_view text) { return detail::decode_host(text); }
};
template <>
struct codec<asio::ip::address_v4> {
  static void encode(std::string& out, const asio::ip::address_v4& value) { codec<inet>::encode(out, asio::ip::address(value)); }
  static asio::ip::address_v4 decode(std::string_view text) { return detail::only_v4(detail::decode_host(text)); }
};
template <>
struct codec<asio::ip::address_v6> {
  static void encode(std::string& out, const asio::ip::address_v6& value) { codec<inet>::encode(out, asio::ip::address(value)); }
  static asio::ip::address_v6 decode(std::string_view text) { return detail::only_v6(detail::decode_host(text)); }
};
/// inet with its network, and cidr; the address keeps the bits beyond the prefix.
template <>
struct codec<asio::ip::network_v4> {
  static void encode(std::string& out, const asio::ip::network_v4& value) {
    codec<inet>::encode(out, inet(value.address(), value.prefix_length()));
  }
  static asio::ip::network_v4 decode(std::string_view text) {
    const inet read = codec<inet>::decode(text);
    return {detail::only_v4(read.address()), static_cast<unsigned short>(read.prefix_length())};
  }
};
template <>
struct codec<asio::ip::network_v6> {
  static void encode(std::string& out, const asio::ip::network_v6& value) {
    codec<inet>::encode(out, inet(value.address(), value.prefix_length()));
  }
  static asio::ip::network_v6 decode(std::string_view text) {
    const inet read = codec<inet>::decode(text);
    return {detail::only_v6(read.address()), static_cast<unsigned short>(read.prefix_length())};
  }
};

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::postgres

#endif
