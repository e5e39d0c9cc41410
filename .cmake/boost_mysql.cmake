# SPDX-License-Identifier: BSL-1.0
# tidepool - what the example and the benchmark with Boost.MySQL's connections link: the target tidepool_boost_mysql, where all of it is there.
set(TIDEPOOL_BOOST_MYSQL_VERSION 1.88) # the first in which they were built: its connections take `co_await` without a token

if(TARGET tidepool_boost_mysql OR NOT TARGET tidepool::boost_asio)
  return()
endif()
include(CheckCXXSourceCompiles)
# Of the Boost that tidepool::boost_asio uses, and of no other.
if(tidepool_boost_folder)
  find_path(BOOST_MYSQL_INCLUDE_DIR boost/mysql/any_connection.hpp PATHS ${tidepool_boost_folder} NO_DEFAULT_PATH)
else()
  find_path(BOOST_MYSQL_INCLUDE_DIR boost/mysql/any_connection.hpp HINTS ${Boost_INCLUDE_DIRS})
endif()
find_library(BOOST_CHARCONV_LIBRARY boost_charconv HINTS ${Boost_LIBRARY_DIRS})
find_package(OpenSSL QUIET)
if(NOT BOOST_MYSQL_INCLUDE_DIR OR NOT BOOST_CHARCONV_LIBRARY OR NOT OPENSSL_FOUND)
  message(STATUS "tidepool: no Boost.MySQL, Boost.Charconv or OpenSSL, so no example and no benchmark with them")
  return()
endif()
tidepool_boost_version(${BOOST_MYSQL_INCLUDE_DIR} version)
if(version VERSION_LESS TIDEPOOL_BOOST_MYSQL_VERSION)
  message(STATUS "tidepool: Boost.MySQL ${version} is older than ${TIDEPOOL_BOOST_MYSQL_VERSION}, so no example and no benchmark with it")
  return()
endif()
add_library(tidepool_boost_mysql INTERFACE)
target_link_libraries(tidepool_boost_mysql INTERFACE tidepool::boost_asio ${BOOST_CHARCONV_LIBRARY} OpenSSL::SSL OpenSSL::Crypto)
# A static Boost.Charconv needs it where the compiler has it.
set(CMAKE_REQUIRED_LIBRARIES quadmath)
check_cxx_source_compiles("int main() {}" TIDEPOOL_HAVE_QUADMATH)
unset(CMAKE_REQUIRED_LIBRARIES)
if(TIDEPOOL_HAVE_QUADMATH)
  target_link_libraries(tidepool_boost_mysql INTERFACE quadmath)
endif()
