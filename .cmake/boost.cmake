# SPDX-License-Identifier: BSL-1.0
# tidepool - the library on Boost.Asio instead of standalone Asio. Used by its own build and, installed, by that of its users.
set(TIDEPOOL_BOOST_VERSION 1.78)

# tidepool_boost_version(FOLDER OUT): of the Boost in that folder, as "1.81".
function(tidepool_boost_version folder out)
  file(STRINGS ${folder}/boost/version.hpp version REGEX "define BOOST_LIB_VERSION ")
  string(REGEX MATCH "[0-9]+_[0-9]+" version "${version}")
  string(REPLACE "_" "." version "${version}")
  set(${out} ${version} PARENT_SCOPE)
endfunction()

# Boost: a target the surrounding project has, or an installed package, or plain headers. Asio and all it needs of Boost are headers.
# Sets tidepool_boost_target, tidepool_boost_folder or tidepool_boost_missing.
function(tidepool_find_boost)
  set(target "")
  set(missing "")
  if(TARGET Boost::asio)
    set(target Boost::asio)
  elseif(TARGET Boost::headers)
    set(target Boost::headers)
  elseif(TARGET Boost::boost)
    set(target Boost::boost)
  elseif(CMAKE_DISABLE_FIND_PACKAGE_Boost)
    set(missing "no Boost, because CMAKE_DISABLE_FIND_PACKAGE_Boost is set")
  else()
    if(NOT TIDEPOOL_BOOST_INCLUDE_DIR)
      # Its folder only: an imported target would not be seen where this folder was added.
      find_package(Boost CONFIG QUIET)
      find_path(TIDEPOOL_BOOST_INCLUDE_DIR boost/asio/awaitable.hpp HINTS ${Boost_INCLUDE_DIRS}
                DOC "Folder of Boost ${TIDEPOOL_BOOST_VERSION} or newer")
    endif()
    if(TIDEPOOL_BOOST_INCLUDE_DIR)
      tidepool_boost_version(${TIDEPOOL_BOOST_INCLUDE_DIR} version)
      if(version VERSION_LESS TIDEPOOL_BOOST_VERSION)
        set(missing "Boost ${version} is too old, ${TIDEPOOL_BOOST_VERSION} is needed: set TIDEPOOL_BOOST_INCLUDE_DIR")
      endif()
    else()
      set(missing "no Boost: install it, or set TIDEPOOL_BOOST_INCLUDE_DIR")
    endif()
  endif()
  set(tidepool_boost_target "${target}" PARENT_SCOPE)
  set(tidepool_boost_folder "${TIDEPOOL_BOOST_INCLUDE_DIR}" PARENT_SCOPE)
  set(tidepool_boost_missing "${missing}" PARENT_SCOPE)
endfunction()

# tidepool_on_boost(TARGET): what is the same for TARGET in the build and in an installed package.
function(tidepool_on_boost target)
  target_compile_features(${target} INTERFACE cxx_std_20)
  # As for standalone Asio: before 1.26, which is that of Boost 1.81, it does not find Clang's coroutines.
  target_compile_definitions(${target} INTERFACE TIDEPOOL_BOOST_ASIO $<$<CXX_COMPILER_ID:Clang>:BOOST_ASIO_HAS_CO_AWAIT=1>
                                                                     $<$<CXX_COMPILER_ID:Clang>:BOOST_ASIO_HAS_STD_COROUTINE=1>)
  # On Windows what Asio needs, as for standalone Asio.
  target_link_libraries(${target} INTERFACE Threads::Threads $<$<PLATFORM_ID:Windows>:ws2_32> $<$<PLATFORM_ID:Windows>:mswsock>
                                            ${tidepool_boost_target})
  if(NOT tidepool_boost_target)
    target_include_directories(${target} SYSTEM INTERFACE $<BUILD_INTERFACE:${tidepool_boost_folder}>)
  endif()
endfunction()
