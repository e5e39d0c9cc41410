// SPDX-License-Identifier: BSL-1.0
// tidepool - functions that a file compiles only when it uses them: of a driver, and of the pool what is large and seldom called.
//
// A driver is large, and a file with a handler needs little of it. So nothing of it is an ordinary inline function, whose body is compiled
// in every file, coroutine and all that it instantiates:
// * What callers see, the headers beside `detail/`, declares functions by TIDEPOOL_LAZY, and `impl/*.ipp` defines them by
// TIDEPOOL_LAZY_BODY.
//   Header-only they are templates with a parameter that nobody gives, so that they are instantiated where they are called. Compiled
//   separately they are ordinary functions in the file that includes `src.hpp`.
// * What only those definitions use, in `detail/`, is such a template in both modes.
// An ordinary inline function, a member of a class among them, must not call any of them, because that would instantiate them in every
// file: it goes by a virtual function of an object that was made elsewhere, or is TIDEPOOL_LAZY itself; its class may be a template. Nor
// does such a template name what has a deduced type and needs none of its parameters: a compiler compiles that where it reads it.
// `timer.async_wait(token)` is such a call, `await_timer(timer)` (asio_io.hpp) is none.
// Codecs are called by inline functions: what of them is no template, longer than a call and not for each byte is TIDEPOOL_DECL, in
// `impl/codec*.ipp`.
// tests/budgets/handlers.sh counts what headers give a file that uses nothing of them.
#ifndef TIDEPOOL_DETAIL_UTIL_LAZY_HPP
#define TIDEPOOL_DETAIL_UTIL_LAZY_HPP

#include "linkage.hpp"

#if TIDEPOOL_HEADER_ONLY
#define TIDEPOOL_LAZY template <class = void>
#define TIDEPOOL_LAZY_BODY \
  template <class>         \
  inline
#else
#define TIDEPOOL_LAZY
#define TIDEPOOL_LAZY_BODY
#endif

#endif
