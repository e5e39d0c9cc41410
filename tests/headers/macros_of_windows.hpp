// SPDX-License-Identifier: BSL-1.0
// tidepool - macros that <windows.h> defines, or that programs define because of it: the headers of the pool have to compile below them.
// No include guard: each use needs all of them.

// On Windows the real ones besides these.
#if defined(_WIN32)
#include <winsock2.h>

#include <windows.h>
#endif

// Without NOMINMAX: no call may be spelt `std::min(a, b)`.
#undef min
#undef max
#define min(a, b) (((a) < (b)) ? (a) : (b))
#define max(a, b) (((a) > (b)) ? (a) : (b))

#undef near
#undef far
#undef small
#undef hyper
#undef interface
#undef pascal
#undef cdecl
#undef IN
#undef OUT
#undef OPTIONAL
#define near
#define far
#define small char
#define hyper __int64
#define interface struct
#define pascal __stdcall
#define cdecl __cdecl
#define IN
#define OUT
#define OPTIONAL

#undef ERROR
#undef NO_ERROR
#undef DELETE
#undef STRICT
#undef ABSOLUTE
#undef RELATIVE
#undef TRUE
#undef FALSE
#undef CONST
#undef VOID
#undef DOMAIN
#undef OVERFLOW
#undef UNDERFLOW
#undef IGNORE
#undef INFINITE
#undef DEBUG
#define ERROR 0
#define NO_ERROR 0L
#define DELETE (0x00010000L)
#define STRICT 1
#define ABSOLUTE 1
#define RELATIVE 2
#define TRUE 1
#define FALSE 0
#define CONST const
#define VOID void
#define DOMAIN 1
#define OVERFLOW 3
#define UNDERFLOW 4
#define IGNORE 0
#define INFINITE 0xffffffff
#define DEBUG 1

// Names of functions that exist for two kinds of texts.
#undef CreateEvent
#undef GetCurrentTime
#undef GetMessage
#undef GetObject
#undef ReportEvent
#undef SendMessage
#undef Yield
#define CreateEvent CreateEventA
#define GetCurrentTime() GetTickCount()
#define GetMessage GetMessageA
#define GetObject GetObjectA
#define ReportEvent ReportEventA
#define SendMessage SendMessageA
#define Yield()
