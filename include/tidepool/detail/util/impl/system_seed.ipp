// SPDX-License-Identifier: BSL-1.0
// tidepool - a seed from the operating system: without <random> where there is another way, because that header costs more to compile than
// all that a handler needs of the pool.
#ifndef TIDEPOOL_DETAIL_UTIL_IMPL_SYSTEM_SEED_IPP
#define TIDEPOOL_DETAIL_UTIL_IMPL_SYSTEM_SEED_IPP

#include <cstdint>
#if __has_include(<sys/random.h>)
#include <sys/random.h>
#include <unistd.h>  // musl has it here
#include <cerrno>
#else
#include <random>
#endif

#include "../../../version.hpp"
#include "../error_code.hpp"
#include "../system_seed.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail {

std::uint64_t seed_of_system() {
#if __has_include(<sys/random.h>)
  std::uint64_t out = 0;
  if (::getentropy(&out, sizeof out) != 0) throw system_error(errno, generic_category(), "getentropy");
  return out;
#else
  std::random_device device;  // NOLINT(clock): the default of Traits
  return (std::uint64_t{device()} << 32) ^ device();
#endif
}

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::detail

#endif
