// SPDX-License-Identifier: BSL-1.0
// tidepool - attributes that compilers spell differently: GCC and Clang, MSVC. Elsewhere they are left out, which costs time or bytes only.
#ifndef TIDEPOOL_DETAIL_UTIL_ATTRIBUTES_HPP
#define TIDEPOOL_DETAIL_UTIL_ATTRIBUTES_HPP

#if defined(__GNUC__) || defined(__clang__)
#define TIDEPOOL_NOINLINE [[gnu::noinline]]
#define TIDEPOOL_ALWAYS_INLINE [[gnu::always_inline]]
#define TIDEPOOL_COLD [[gnu::cold]]
#elif defined(_MSC_VER)
#define TIDEPOOL_NOINLINE [[msvc::noinline]]
#define TIDEPOOL_ALWAYS_INLINE [[msvc::forceinline]]
#define TIDEPOOL_COLD
#else
#define TIDEPOOL_NOINLINE
#define TIDEPOOL_ALWAYS_INLINE
#define TIDEPOOL_COLD
#endif

// MSVC accepts the standard's spelling and does nothing, so as not to change the layout of classes.
#if __has_cpp_attribute(msvc::no_unique_address)
#define TIDEPOOL_NO_UNIQUE_ADDRESS [[msvc::no_unique_address]]
#elif __has_cpp_attribute(no_unique_address)
#define TIDEPOOL_NO_UNIQUE_ADDRESS [[no_unique_address]]
#else
#define TIDEPOOL_NO_UNIQUE_ADDRESS
#endif

#endif
