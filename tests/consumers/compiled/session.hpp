// SPDX-License-Identifier: BSL-1.0
// tidepool - a pool that three files of a program share.
#ifndef CONSUMER_SESSION_HPP
#define CONSUMER_SESSION_HPP

#include <tidepool/fwd.hpp>

#include <memory>
#include <string>

struct session;
using session_pool = tidepool::basic_pool<session>;

struct program;
std::shared_ptr<program> begin();            // made.cpp, in a shared object
session_pool& pool_of(program&);             // made.cpp
int run_on(program&);                        // made.cpp
int served_in_another_file(program&);        // header_only.cpp, which is compiled without TIDEPOOL_SEPARATE_COMPILATION
std::string told_by_another_file(program&);  // header_only.cpp

#endif
