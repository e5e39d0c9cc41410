# SPDX-License-Identifier: BSL-1.0
# tidepool - cmake -D VIA=... -D SOURCE=<tidepool> -D WORK=<scratch folder> -D ASIO=<include folder> -D LIBPQ=<include folder>
#                  -D CXX=<compiler> -D STRICT_CXX=<the one for users' warnings> -P consume.cmake
cmake_minimum_required(VERSION 3.21)
file(REMOVE_RECURSE ${WORK})
file(MAKE_DIRECTORY ${WORK})

function(run)
  execute_process(COMMAND ${ARGN} COMMAND_ECHO STDOUT COMMAND_ERROR_IS_FATAL ANY)
endfunction()
function(output_of variable)
  execute_process(COMMAND ${ARGN} COMMAND_ECHO STDOUT OUTPUT_VARIABLE output OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
  set(${variable} "${output}" PARENT_SCOPE)
endfunction()
function(must_fail_with text)
  execute_process(COMMAND ${ARGN} COMMAND_ECHO STDOUT RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(result EQUAL 0)
    message(FATAL_ERROR "this should have failed")
  endif()
  string(REGEX REPLACE "[ \n]+" " " output "${output}")
  if(NOT output MATCHES "${text}")
    message(FATAL_ERROR "it failed, but does not say '${text}': ${output}")
  endif()
endfunction()

# What users ask of their own code, and, where the headers are no system headers to them, of ours.
set(strict -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Werror)
set(folders ${ASIO} ${LIBPQ})
list(REMOVE_ITEM folders /usr/include)
list(TRANSFORM folders PREPEND -isystem)

# --- without CMake -----------------------------------------------------------------------------------------------------------
if(VIA STREQUAL "libcxx")
  set(with ${CXX} -std=c++20 -stdlib=libc++ -O0 ${strict} ${folders} -I${SOURCE}/include -pthread)
  run(${with} ${CMAKE_CURRENT_LIST_DIR}/uses.cpp -o ${WORK}/uses -lpq)
  run(${WORK}/uses)
  # It compares types by their addresses: those that are thrown must exist once. Plugins find the program's, which it has to export.
  set(modules ${CMAKE_CURRENT_LIST_DIR}/modules)
  set(hidden ${with} -fvisibility=hidden -fvisibility-inlines-hidden)
  run(${hidden} -fPIC -shared ${modules}/user.cpp -o ${WORK}/libuser.so)
  # One of them is compiled separately, the others are not.
  file(WRITE ${WORK}/src.cpp "#include <tidepool/src.hpp>\n#include <tidepool/postgres/src.hpp>\n")
  run(${hidden} -DTIDEPOOL_SEPARATE_COMPILATION -fPIC -shared ${modules}/maker.cpp ${WORK}/src.cpp -o ${WORK}/libmaker.so -lpq)
  run(${hidden} -c ${modules}/program.cpp -o ${WORK}/program.o)
  run(${hidden} ${modules}/linked.cpp ${WORK}/program.o ${WORK}/libuser.so ${WORK}/libmaker.so -Wl,-rpath,${WORK} -o ${WORK}/linked)
  run(${WORK}/linked)
  run(${CXX} -stdlib=libc++ ${WORK}/program.o -rdynamic -ldl -pthread -o ${WORK}/plugin)
  run(${WORK}/plugin ${WORK}/libuser.so ${WORK}/libmaker.so)
  return()
elseif(VIA STREQUAL "strict")
  # Optimised: some warnings come with that only.
  foreach(compiler g++ clang++)
    foreach(standard c++20 c++23)
      string(REPLACE c++23 c++2b standard ${standard})
      foreach(rtti -frtti -fno-rtti)
        run(${compiler} -std=${standard} -O2 ${rtti} ${strict} ${folders} -I${SOURCE}/include -pthread
            ${CMAKE_CURRENT_LIST_DIR}/uses.cpp -o ${WORK}/uses -lpq)
        run(${WORK}/uses)
      endforeach()
    endforeach()
  endforeach()
  return()
endif()

set(consumer ${CMAKE_COMMAND} -G Ninja -S ${CMAKE_CURRENT_LIST_DIR} -DCMAKE_CXX_COMPILER=${CXX})
set(options -DTIDEPOOL_ASIO_INCLUDE_DIR=${ASIO})
if(VIA STREQUAL "subdirectory")
  set(options -DVIA=subdirectory -DTIDEPOOL_SOURCE=${SOURCE} -DOUR_ASIO=${ASIO} -DOUR_LIBPQ=${LIBPQ})
elseif(VIA STREQUAL "fetch")
  # Without RTTI and libpq; Asio is a package, whose target is made in our folder and used in the project's.
  file(WRITE ${WORK}/prefix/share/cmake/asio/asio-config.cmake
       "add_library(asio::asio INTERFACE IMPORTED)\ntarget_include_directories(asio::asio SYSTEM INTERFACE ${ASIO})\n")
  set(options -DVIA=fetch -DFETCHCONTENT_SOURCE_DIR_TIDEPOOL=${SOURCE} -DCMAKE_CXX_FLAGS=-fno-rtti -DCMAKE_PREFIX_PATH=${WORK}/prefix
      -DCMAKE_DISABLE_FIND_PACKAGE_PostgreSQL=ON)
elseif(VIA STREQUAL "fetch-asio")
  # Asio from where FETCHCONTENT_SOURCE_DIR_ASIO says, though others are there; C++23.
  file(MAKE_DIRECTORY ${WORK}/asio/asio/include)
  file(CREATE_LINK ${ASIO}/asio ${WORK}/asio/asio/include/asio SYMBOLIC)
  list(APPEND consumer -DVIA=fetch -DFETCHCONTENT_SOURCE_DIR_TIDEPOOL=${SOURCE} -DEXPECTED_ASIO=${WORK}/asio/asio/include)
  run(${consumer} -B ${WORK}/own -DFETCHED_ASIO=${WORK}/asio)
  set(options -DFETCHCONTENT_SOURCE_DIR_ASIO=${WORK}/asio -DCMAKE_CXX_STANDARD=23)
elseif(VIA STREQUAL "package")
  run(${CMAKE_COMMAND} -G Ninja -S ${SOURCE} -B ${WORK}/library -DCMAKE_CXX_COMPILER=${CXX} -DTIDEPOOL_ASIO_INCLUDE_DIR=${ASIO}
      -DTIDEPOOL_BUILD_TESTS=OFF -DTIDEPOOL_BUILD_EXAMPLES=OFF -DTIDEPOOL_BUILD_BENCHMARKS=OFF -DCMAKE_INSTALL_PREFIX=${WORK}/first)
  run(${CMAKE_COMMAND} --build ${WORK}/library --target install)
  # Installed, packed and moved: the same files everywhere, and nothing tells where they were.
  run(${CMAKE_CPACK_COMMAND} --config ${WORK}/library/CPackConfig.cmake -G TGZ -B ${WORK}/packed)
  file(GLOB archive ${WORK}/packed/tidepool-*.tar.gz)
  file(ARCHIVE_EXTRACT INPUT ${archive} DESTINATION ${WORK}/unpacked)
  file(GLOB unpacked ${WORK}/unpacked/tidepool-*)
  file(RENAME ${WORK}/first ${WORK}/moved)
  set(prefixes ${unpacked})
  find_program(DPKG_DEB dpkg-deb)
  if(DPKG_DEB)
    run(${CMAKE_CPACK_COMMAND} --config ${WORK}/library/CPackConfig.cmake -G DEB -B ${WORK}/packed)
    file(GLOB package ${WORK}/packed/libtidepool-dev_*_all.deb)
    run(${DPKG_DEB} -x ${package} ${WORK}/debian)
    output_of(fields ${DPKG_DEB} -f ${package} Architecture Depends Recommends Section)
    if(NOT fields MATCHES "Architecture: all\nDepends: libasio-dev [^\n]*\nRecommends: libpq-dev [^\n]*\nSection: libdevel")
      message(FATAL_ERROR "the package says of itself: ${fields}")
    endif()
    list(APPEND prefixes ${WORK}/debian/usr)
  endif()
  file(GLOB_RECURSE installed RELATIVE ${WORK}/moved ${WORK}/moved/*)
  file(GLOB_RECURSE headers RELATIVE ${SOURCE} ${SOURCE}/include/*.hpp ${SOURCE}/include/*.ipp)
  foreach(file IN LISTS headers ITEMS share/pkgconfig/tidepool.pc share/cmake/tidepool/tidepool-config.cmake share/doc/tidepool/LICENSE)
    if(NOT file IN_LIST installed)
      message(FATAL_ERROR "not installed: ${file}")
    endif()
  endforeach()
  foreach(prefix IN LISTS prefixes)
    file(GLOB_RECURSE files RELATIVE ${prefix} ${prefix}/*)
    if(NOT files STREQUAL installed)
      message(FATAL_ERROR "in ${prefix} there are ${files}")
    endif()
  endforeach()
  list(GET prefixes -1 prefix)

  # pkg-config, with the installed headers as they are.
  find_program(PKG_CONFIG NAMES pkg-config pkgconf)
  if(PKG_CONFIG)
    set(ENV{PKG_CONFIG_PATH} ${WORK}/moved/share/pkgconfig)
    output_of(flags ${PKG_CONFIG} --cflags --libs tidepool-postgres)
    separate_arguments(flags UNIX_COMMAND "${flags}")
    run(${STRICT_CXX} -std=c++20 -O0 -fno-rtti ${strict} ${CMAKE_CURRENT_LIST_DIR}/uses.cpp -o ${WORK}/uses ${folders} ${flags})
    run(${WORK}/uses)
    # No file compiles what the pool does: the linker's words name the macro.
    file(WRITE ${WORK}/not_made.cpp "#include <tidepool/pool.hpp>\n#include <tidepool/src.hpp>\nstruct session {};\nint main() {\n"
         "  asio::io_context io;\n"
         "  tidepool::basic_pool<session> pool(io, []() -> asio::awaitable<session> { co_return session{}; });\n}\n")
    must_fail_with("pool_maker<session, [^(]*TIDEPOOL_INSTANTIATE_POOL" ${CXX} -std=c++20 -O0 -DTIDEPOOL_SEPARATE_COMPILATION
                   ${WORK}/not_made.cpp -o ${WORK}/not_made ${folders} ${flags})
    output_of(flags ${PKG_CONFIG} --cflags --libs tidepool-postgres-boost-asio)
    if(NOT flags MATCHES "-DTIDEPOOL_BOOST_ASIO" OR NOT flags MATCHES "-lpq")
      message(FATAL_ERROR "with Boost.Asio: ${flags}")
    endif()
  endif()

  list(APPEND consumer -DVIA=package -DCMAKE_PREFIX_PATH=${prefix})
  must_fail_with("compatible with requested version" ${consumer} ${options} -B ${WORK}/too-new -DWANTED_VERSION=99.0)
  must_fail_with("no component 'abacus': those are compiled, boost_asio, and postgres, mysql, sqlite," ${consumer} ${options}
                 -B ${WORK}/no-such-component -DWANTED_COMPONENTS=abacus)
  # The sources are added, and some library of the project looks for the package.
  run(${consumer} -B ${WORK}/both -DVIA=subdirectory -DTIDEPOOL_SOURCE=${SOURCE} -DOUR_ASIO=${ASIO} -DOUR_LIBPQ=${LIBPQ} -DAND_PACKAGE=ON)
  list(APPEND options -DWANTED_VERSION=0.1)
endif()

run(${consumer} -B ${WORK}/consumer ${options})
run(${CMAKE_COMMAND} --build ${WORK}/consumer)
execute_process(COMMAND ${CMAKE_CTEST_COMMAND} --output-on-failure --no-tests=error WORKING_DIRECTORY ${WORK}/consumer
                COMMAND_ERROR_IS_FATAL ANY)
