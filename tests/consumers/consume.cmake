# SPDX-License-Identifier: BSL-1.0
# tidepool - cmake -D VIA=... -D SOURCE=<tidepool> -D WORK=<scratch folder> -D ASIO=<include folder> -D CXX=<compiler> -P consume.cmake
file(REMOVE_RECURSE ${WORK})
file(MAKE_DIRECTORY ${WORK})

function(run)
  execute_process(COMMAND ${ARGN} COMMAND_ECHO STDOUT COMMAND_ERROR_IS_FATAL ANY)
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

set(consumer ${CMAKE_COMMAND} -G Ninja -S ${CMAKE_CURRENT_LIST_DIR} -DCMAKE_CXX_COMPILER=${CXX} -DTIDEPOOL_ASIO_INCLUDE_DIR=${ASIO})
set(options)
if(VIA STREQUAL "subdirectory")
  set(options -DVIA=subdirectory -DTIDEPOOL_SOURCE=${SOURCE})
elseif(VIA STREQUAL "fetch")
  set(options -DVIA=fetch -DFETCHCONTENT_SOURCE_DIR_TIDEPOOL=${SOURCE})
elseif(VIA STREQUAL "fetch-asio")
  # No Asio that could be found, so the fallback gets its turn; its download is replaced by a tree of the shape it would have.
  file(MAKE_DIRECTORY ${WORK}/asio/asio/include)
  file(CREATE_LINK ${ASIO}/asio ${WORK}/asio/asio/include/asio SYMBOLIC)
  list(REMOVE_ITEM consumer -DTIDEPOOL_ASIO_INCLUDE_DIR=${ASIO})
  set(options -DVIA=fetch -DFETCHCONTENT_SOURCE_DIR_TIDEPOOL=${SOURCE} -DFETCHCONTENT_SOURCE_DIR_ASIO=${WORK}/asio
      -DEXPECTED_ASIO=${WORK}/asio/asio/include -DCMAKE_IGNORE_PATH=/usr/include -DCMAKE_DISABLE_FIND_PACKAGE_asio=ON)
elseif(VIA STREQUAL "package")
  run(${CMAKE_COMMAND} -G Ninja -S ${SOURCE} -B ${WORK}/library -DCMAKE_CXX_COMPILER=${CXX} -DTIDEPOOL_ASIO_INCLUDE_DIR=${ASIO} -DTIDEPOOL_BUILD_TESTS=OFF
      -DTIDEPOOL_BUILD_EXAMPLES=OFF -DTIDEPOOL_BUILD_BENCHMARKS=OFF -DCMAKE_INSTALL_PREFIX=${WORK}/prefix)
  run(${CMAKE_COMMAND} --build ${WORK}/library --target install)
  list(APPEND consumer -DVIA=package -DCMAKE_PREFIX_PATH=${WORK}/prefix)
  must_fail_with("compatible with requested version" ${consumer} -B ${WORK}/too-new -DWANTED_VERSION=99.0)
  must_fail_with("no component 'abacus'" ${consumer} -B ${WORK}/no-such-component -DWANTED_COMPONENTS=abacus)
  set(options -DWANTED_VERSION=0.1)
endif()

run(${consumer} -B ${WORK}/consumer ${options})
run(${CMAKE_COMMAND} --build ${WORK}/consumer)
execute_process(COMMAND ${CMAKE_CTEST_COMMAND} --output-on-failure --no-tests=error WORKING_DIRECTORY ${WORK}/consumer
                COMMAND_ERROR_IS_FATAL ANY)
