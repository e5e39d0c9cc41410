// SPDX-License-Identifier: BSL-1.0
// tidepool - for the file that compiles what a pool does, for all that use the pool.
#ifndef TIDEPOOL_INSTANTIATE_HPP
#define TIDEPOOL_INSTANTIATE_HPP

#include "basic_pool.hpp"
#include "detail/shell/pool_impl.hpp"
#include "version.hpp"

/// `TIDEPOOL_INSTANTIATE_POOL(C);` or `(C, T);`, at global scope in one file of the program, compiles `basic_pool<C, T>`, of default Traits
/// where T is left out. With TIDEPOOL_SEPARATE_COMPILATION a program needs it for each of its types of pools, except those of drivers whose
/// code it compiles or links; or the file that makes the pool includes this header. Without that macro it saves compile time where several
/// files make pools of one type: see TIDEPOOL_DECLARE_POOL.
#define TIDEPOOL_INSTANTIATE_POOL(...) template struct ::tidepool::detail::pool_maker<__VA_ARGS__>

#endif
