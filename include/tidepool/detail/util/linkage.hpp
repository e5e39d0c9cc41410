// SPDX-License-Identifier: BSL-1.0
// tidepool - whether the headers hold the code (header-only, the default) or one file of the program does (separate compilation).
#ifndef TIDEPOOL_DETAIL_UTIL_LINKAGE_HPP
#define TIDEPOOL_DETAIL_UTIL_LINKAGE_HPP

/// `TIDEPOOL_SEPARATE_COMPILATION`, defined by the program: headers declare, and the file that includes `<tidepool/src.hpp>` defines.
/// Before a declaration TIDEPOOL_DECL says so; the definition, in `impl/NAME.ipp` beside the header, has no macro. At its end the header
/// includes that file where TIDEPOOL_HEADER_ONLY is 1.
///
/// Classes have the same members and functions the same code in both modes, so files of both may be linked together.
#if defined(TIDEPOOL_SEPARATE_COMPILATION)
#define TIDEPOOL_HEADER_ONLY 0
#define TIDEPOOL_DECL
#else
#define TIDEPOOL_HEADER_ONLY 1
#define TIDEPOOL_DECL inline
#endif

#endif
