# SPDX-License-Identifier: BSL-1.0
# tidepool - a toolchain for CMake: mingw-w64 compiles for 64-bit Windows, Wine runs what it made. `install.sh windows` installs both, and
# fills the folder where Asio and Catch2 are found: from /usr/include the headers of Linux would come along.
set(CMAKE_SYSTEM_NAME Windows)
set(CMAKE_SYSTEM_PROCESSOR x86_64)
set(CMAKE_CXX_COMPILER x86_64-w64-mingw32-g++-posix) # the variant that has std::thread and std::mutex
set(CMAKE_FIND_ROOT_PATH ${CMAKE_CURRENT_LIST_DIR}/../../.cache/windows /usr/x86_64-w64-mingw32)
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
foreach(kind LIBRARY INCLUDE PACKAGE)
  set(CMAKE_FIND_ROOT_PATH_MODE_${kind} ONLY)
endforeach()
set(CMAKE_EXE_LINKER_FLAGS_INIT -static) # so that Wine need not find the compiler's DLLs
set(CMAKE_CROSSCOMPILING_EMULATOR ${CMAKE_CURRENT_LIST_DIR}/wine.sh ${CMAKE_BINARY_DIR}/wine)
