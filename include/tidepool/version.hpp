// SPDX-License-Identifier: BSL-1.0
// tidepool - the version of these headers; the build reads it from here.
#ifndef TIDEPOOL_VERSION_HPP
#define TIDEPOOL_VERSION_HPP

#define TIDEPOOL_VERSION_MAJOR 0
#define TIDEPOOL_VERSION_MINOR 1
#define TIDEPOOL_VERSION_PATCH 0

/// One number to compare: 10203 is 1.2.3.
#define TIDEPOOL_VERSION (TIDEPOOL_VERSION_MAJOR * 10000 + TIDEPOOL_VERSION_MINOR * 100 + TIDEPOOL_VERSION_PATCH)

#define TIDEPOOL_DETAIL_TEXT_OF(value) #value
#define TIDEPOOL_DETAIL_EXPANDED_TEXT_OF(value) TIDEPOOL_DETAIL_TEXT_OF(value)
#define TIDEPOOL_DETAIL_VERSION_TEXT(major, minor, patch) \
  TIDEPOOL_DETAIL_TEXT_OF(major) "." TIDEPOOL_DETAIL_TEXT_OF(minor) "." TIDEPOOL_DETAIL_TEXT_OF(patch)

/// "0.1.0"
#define TIDEPOOL_VERSION_STRING TIDEPOOL_DETAIL_VERSION_TEXT(TIDEPOOL_VERSION_MAJOR, TIDEPOOL_VERSION_MINOR, TIDEPOOL_VERSION_PATCH)

#if defined(TIDEPOOL_BOOST_ASIO)
#define TIDEPOOL_DETAIL_JOIN(prefix, major, minor) prefix##major##_##minor##_boost
#else
#define TIDEPOOL_DETAIL_JOIN(prefix, major, minor) prefix##major##_##minor
#endif
#define TIDEPOOL_DETAIL_NAMESPACE(major, minor) TIDEPOOL_DETAIL_JOIN(v, major, minor)

/// The inline namespace of all declarations, `v0_1`; with Boost.Asio `v0_1_boost`: two versions in one program do not collide, nor does a
/// file with Boost.Asio with one without. Patch versions share it.
#define TIDEPOOL_VERSION_NAMESPACE TIDEPOOL_DETAIL_NAMESPACE(TIDEPOOL_VERSION_MAJOR, TIDEPOOL_VERSION_MINOR)

/// What the compiler says of an awaitable that is dropped.
#define TIDEPOOL_DETAIL_AWAIT "co_await it: until then nothing happens"

/// Marks what a later version will not have; `advice` says what to use instead. Define it as empty to switch the warnings off.
#ifndef TIDEPOOL_DEPRECATED
#define TIDEPOOL_DEPRECATED(advice) [[deprecated(advice)]]
#endif

#endif
