// SPDX-License-Identifier: BSL-1.0
// tidepool - what a header defines and a process should have once.
#ifndef TIDEPOOL_DETAIL_UTIL_VISIBILITY_HPP
#define TIDEPOOL_DETAIL_UTIL_VISIBILITY_HPP

/// The linker then makes one of the copies in a program and its shared objects, also where those are compiled with hidden visibility. Not
/// for certain: a plugin loaded with RTLD_LOCAL may keep a copy of its own. So nothing may be wrong because there are two.
#if defined(__GNUC__)
#define TIDEPOOL_EXPORT __attribute__((visibility("default")))
#else
#define TIDEPOOL_EXPORT
#endif

#endif
