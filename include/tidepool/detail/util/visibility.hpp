// SPDX-License-Identifier: BSL-1.0
// tidepool - a macro for variables of a header that should exist once in a process.
#ifndef TIDEPOOL_DETAIL_UTIL_VISIBILITY_HPP
#define TIDEPOOL_DETAIL_UTIL_VISIBILITY_HPP

/// The linker then merges the copies of a program and its shared objects, also where those are compiled with hidden visibility. This is not
/// certain: a plugin loaded with RTLD_LOCAL may keep a copy of its own. So the code must also be correct with two copies.
#if defined(__GNUC__)
#define TIDEPOOL_EXPORT __attribute__((visibility("default")))
#else
#define TIDEPOOL_EXPORT
#endif

#endif
