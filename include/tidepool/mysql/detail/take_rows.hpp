// SPDX-License-Identifier: BSL-1.0
// tidepool - copies rows out of the client library, from its binary and from its text protocol.
#ifndef TIDEPOOL_MYSQL_DETAIL_TAKE_ROWS_HPP
#define TIDEPOOL_MYSQL_DETAIL_TAKE_ROWS_HPP

#include <mysql.h>

#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>
#include <string>
#include <string_view>
#include <vector>

#include "../../detail/driver/read_floating.hpp"
#include "../../version.hpp"
#include "kept_rows.hpp"

namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::mysql::detail {

template <class = void>
inline storage storage_of(const MYSQL_FIELD& field) noexcept {
  constexpr unsigned binary = 63;  // the character set of bytes
  switch (field.type) {
    case MYSQL_TYPE_TINY:
    case MYSQL_TYPE_SHORT:
    case MYSQL_TYPE_INT24:
    case MYSQL_TYPE_LONG:
    case MYSQL_TYPE_LONGLONG:
    case MYSQL_TYPE_YEAR: return (field.flags & UNSIGNED_FLAG) != 0 ? storage::natural : storage::integer;
    case MYSQL_TYPE_BIT: return storage::natural;
    case MYSQL_TYPE_FLOAT: return storage::single;
    case MYSQL_TYPE_DOUBLE: return storage::real;
    case MYSQL_TYPE_DECIMAL:
    case MYSQL_TYPE_NEWDECIMAL: return storage::decimal;
    case MYSQL_TYPE_DATE:
    case MYSQL_TYPE_NEWDATE: return storage::date;
    case MYSQL_TYPE_DATETIME:
    case MYSQL_TYPE_DATETIME2:
    case MYSQL_TYPE_TIMESTAMP:
    case MYSQL_TYPE_TIMESTAMP2: return storage::datetime;
    case MYSQL_TYPE_TIME:
    case MYSQL_TYPE_TIME2: return storage::time;
    case MYSQL_TYPE_JSON: return storage::text;
    case MYSQL_TYPE_NULL: return storage::null;
    default: return field.charsetnr == binary ? storage::bytes : storage::text;
  }
}

/// BIT(n): its bytes, the highest first.
template <class = void>
inline std::uint64_t bits_of(std::string_view bytes) noexcept {
  std::uint64_t out = 0;
  for (const char byte : bytes.substr(0, 8)) out = (out << 8U) | static_cast<unsigned char>(byte);
  return out;
}
template <class = void>
inline void keep_bytes(kept_rows& out, kept_value& made, std::string_view bytes) {
  made.natural = out.bytes.size();
  made.size = static_cast<std::uint32_t>(bytes.size());
  out.bytes += bytes;
}
template <class = void>
inline void keep_time(kept_value& made, const MYSQL_TIME& at) noexcept {
  if (made.kind == storage::time) {
    const std::int64_t hours = std::int64_t{at.day} * 24 + at.hour;
    const std::int64_t micros = ((hours * 60 + at.minute) * 60 + at.second) * 1'000'000 + static_cast<std::int64_t>(at.second_part);
    made.integer = at.neg != 0 ? -micros : micros;
  } else {
    made.natural = civil_time{at.year, at.month, at.day, at.hour, at.minute, at.second, static_cast<unsigned>(at.second_part)}.packed();
  }
}

// --- the binary protocol ------------------------------------------------------------------------------------------------

/// Where the library puts one column of a row.
struct column_buffer {
  union {
    std::int64_t integer;
    float single;
    double real;
  };
  MYSQL_TIME time;
  std::array<char, 96> small;  ///< of a text or bytes; longer ones are fetched a second time
  unsigned long length;
  my_bool null;
  my_bool cut;
  storage kind;
  bool bits;
};

/// For so many columns or parameters a session keeps the memory that the next statement needs too.
inline constexpr std::size_t kept_columns = 16;

/// Reads the rows of a statement. Its memory is used again for the next one.
template <class = void>
class basic_row_reader {
 public:
  /// After the statement was executed: takes the columns, and tells the library where to put them.
  void begin(MYSQL_STMT* of, kept_rows& out) {
    const auto count = mysql_stmt_field_count(of);
    // The statement's own fields keep the names that they had when it was prepared.
    const bool told = of->mysql->fields != nullptr && of->mysql->field_count == count;
    const MYSQL_FIELD* const fields = told ? of->mysql->fields : mariadb_stmt_fetch_fields(of);
    columns_.resize(count);
    binds_.assign(count, MYSQL_BIND{});
    out.names.reserve(count);
    for (unsigned i = 0; i < count; ++i) {
      out.names.emplace_back(fields[i].name, fields[i].name_length);
      auto& column = columns_[i];
      auto& bind = binds_[i];
      column.kind = storage_of(fields[i]);
      column.bits = fields[i].type == MYSQL_TYPE_BIT;
      bind.length = &column.length;
      bind.is_null = &column.null;
      bind.error = &column.cut;
      switch (column.kind) {
        case storage::natural:
        case storage::integer:
          if (!column.bits) {
            bind.buffer_type = MYSQL_TYPE_LONGLONG;
            bind.is_unsigned = column.kind == storage::natural;
            bind.buffer = &column.integer;
            break;
          }
          [[fallthrough]];
        default:
          bind.buffer_type = MYSQL_TYPE_BLOB;
          bind.buffer = column.small.data();
          bind.buffer_length = column.small.size();
          break;
        case storage::single:
          bind.buffer_type = MYSQL_TYPE_FLOAT;
          bind.buffer = &column.single;
          break;
        case storage::real:
          bind.buffer_type = MYSQL_TYPE_DOUBLE;
          bind.buffer = &column.real;
          break;
        case storage::date:
        case storage::datetime:
        case storage::time:
          bind.buffer_type = column.kind == storage::date       ? MYSQL_TYPE_DATE
                             : column.kind == storage::datetime ? MYSQL_TYPE_DATETIME
                                                                : MYSQL_TYPE_TIME;
          bind.buffer = &column.time;
          bind.buffer_length = sizeof(MYSQL_TIME);
          break;
      }
    }
    if (count != 0 && mysql_stmt_bind_result(of, binds_.data()) != 0) throw std::bad_alloc();
  }

  /// After a row was fetched.
  void take(MYSQL_STMT* of, kept_rows& out) {
    for (unsigned i = 0; i < columns_.size(); ++i) {
      auto& column = columns_[i];
      kept_value made;
      if (column.null == 0 && column.kind != storage::null) {
        made.kind = column.kind;
        switch (column.kind) {
          case storage::natural:
          case storage::integer:
            if (column.bits) {
              made.natural = bits_of({column.small.data(), column.length});
            } else {
              made.integer = column.integer;
            }
            break;
          case storage::single: made.real = static_cast<double>(column.single); break;
          case storage::real: made.real = column.real; break;
          case storage::date:
          case storage::datetime:
          case storage::time: keep_time(made, column.time); break;
          default:
            if (column.length <= column.small.size()) {
              keep_bytes(out, made, {column.small.data(), column.length});
            } else {
              keep_long(of, i, out, made);
            }
        }
      }
      out.values.push_back(made);
    }
    ++out.count;
  }
  /// What a statement with many columns needed is not kept.
  void trim() noexcept {
    if (binds_.size() <= kept_columns) return;
    columns_ = std::vector<column_buffer>();
    binds_ = std::vector<MYSQL_BIND>();
  }

 private:
  void keep_long(MYSQL_STMT* of, unsigned i, kept_rows& out, kept_value& made) {
    const auto size = columns_[i].length;
    made.natural = out.bytes.size();
    made.size = static_cast<std::uint32_t>(size);
    out.bytes.resize(out.bytes.size() + size);
    MYSQL_BIND whole{};
    unsigned long length = 0;
    whole.buffer_type = MYSQL_TYPE_BLOB;
    whole.buffer = out.bytes.data() + made.natural;
    whole.buffer_length = size;
    whole.length = &length;
    (void)mysql_stmt_fetch_column(of, &whole, i, 0);
  }

  std::vector<column_buffer> columns_;
  std::vector<MYSQL_BIND> binds_;
};
using row_reader = basic_row_reader<>;

// --- the text protocol --------------------------------------------------------------------------------------------------

/// "2024-02-29 12:34:56.789", "2024-02-29", "-838:59:59.000001".
template <class = void>
inline MYSQL_TIME time_of(std::string_view text, storage kind) noexcept {
  MYSQL_TIME out{};
  if (text.starts_with('-')) {
    out.neg = 1;
    text.remove_prefix(1);
  }
  unsigned parts[7] = {};
  std::size_t filled = 0;
  while (!text.empty() && filled < 7) {
    unsigned number = 0;
    const auto* const end = std::from_chars(text.data(), text.data() + text.size(), number).ptr;
    const auto digits = static_cast<std::size_t>(end - text.data());
    const bool fraction = filled > 0 && end != text.data() && text.data() != nullptr && *(text.data() - 1) == '.';
    if (fraction) {
      for (auto i = digits; i < 6; ++i) number *= 10;
    }
    parts[fraction ? 6 : filled++] = number;
    if (fraction) break;
    text.remove_prefix(digits);
    if (!text.empty()) text.remove_prefix(1);
  }
  const std::size_t day = kind == storage::time ? 0 : 3;
  if (day != 0) {
    out.year = parts[0];
    out.month = parts[1];
    out.day = parts[2];
  }
  out.hour = parts[day];
  out.minute = parts[day + 1];
  out.second = parts[day + 2];
  out.second_part = parts[6];
  return out;
}

/// All rows of a result that the library has received as text.
template <class = void>
inline void take_text_rows(MYSQL_RES* from, kept_rows& out) {
  const auto count = mysql_num_fields(from);
  const MYSQL_FIELD* const fields = mysql_fetch_fields(from);
  for (unsigned i = 0; i < count; ++i) out.names.emplace_back(fields[i].name, fields[i].name_length);
  while (const MYSQL_ROW row = mysql_fetch_row(from)) {
    const unsigned long* const lengths = mysql_fetch_lengths(from);
    for (unsigned i = 0; i < count; ++i) {
      kept_value made;
      if (row[i] != nullptr) {
        const std::string_view text(row[i], lengths[i]);
        made.kind = storage_of(fields[i]);
        switch (made.kind) {
          case storage::integer: std::from_chars(text.data(), text.data() + text.size(), made.integer); break;
          case storage::natural:
            if (fields[i].type == MYSQL_TYPE_BIT) {
              made.natural = bits_of(text);
            } else {
              std::from_chars(text.data(), text.data() + text.size(), made.natural);
            }
            break;
          case storage::single: {
            float number = 0;
            (void)tidepool::detail::driver::read_floating(text, number);
            made.real = static_cast<double>(number);
            break;
          }
          case storage::real: {
            double number = 0;
            (void)tidepool::detail::driver::read_floating(text, number);
            made.real = number;
            break;
          }
          case storage::date:
          case storage::datetime:
          case storage::time: keep_time(made, time_of(text, made.kind)); break;
          default: keep_bytes(out, made, text);
        }
      }
      out.values.push_back(made);
    }
    ++out.count;
  }
}

// --- parameters ---------------------------------------------------------------------------------------------------------

/// What the library takes as the parameters of a statement. Refers to the values. Its memory is used again for the next statement.
template <class = void>
class basic_parameter_binds {
 public:
  void fill(const std::vector<kept_value>& values, const std::string& bytes) {
    binds_.assign(values.size(), MYSQL_BIND{});
    times_.clear();
    std::size_t times = 0;
    for (const auto& each : values) {
      if (each.kind >= storage::date) ++times;
    }
    times_.reserve(times);
    for (std::size_t i = 0; i < values.size(); ++i) set(binds_[i], values[i], bytes);
  }
  MYSQL_BIND* data() noexcept { return binds_.data(); }
  /// What a statement with many parameters needed is not kept.
  void trim() noexcept {
    if (binds_.size() <= kept_columns) return;
    binds_ = std::vector<MYSQL_BIND>();
    times_ = std::vector<MYSQL_TIME>();
  }

 private:
  void set(MYSQL_BIND& bind, const kept_value& from, const std::string& bytes) {
    const void* at = &from.natural;
    bind.buffer_type = MYSQL_TYPE_LONGLONG;
    switch (from.kind) {
      case storage::null: bind.buffer_type = MYSQL_TYPE_NULL; break;
      case storage::integer: break;
      case storage::natural: bind.is_unsigned = 1; break;
      case storage::single:
      case storage::real:
        bind.buffer_type = MYSQL_TYPE_DOUBLE;
        at = &from.real;
        break;
      case storage::decimal:
      case storage::text:
      case storage::bytes:
        bind.buffer_type = from.kind == storage::bytes     ? MYSQL_TYPE_BLOB
                           : from.kind == storage::decimal ? MYSQL_TYPE_NEWDECIMAL
                                                           : MYSQL_TYPE_STRING;
        at = bytes.data() + from.natural;
        bind.length_value = from.size;
        bind.length = &bind.length_value;
        bind.buffer_length = from.size;
        break;
      case storage::date:
      case storage::datetime: {
        const auto civil = civil_time::unpacked(from.natural);
        MYSQL_TIME when{};
        when.year = civil.year;
        when.month = civil.month;
        when.day = civil.day;
        when.hour = civil.hour;
        when.minute = civil.minute;
        when.second = civil.second;
        when.second_part = civil.micro;
        when.time_type = from.kind == storage::date ? MYSQL_TIMESTAMP_DATE : MYSQL_TIMESTAMP_DATETIME;
        bind.buffer_type = from.kind == storage::date ? MYSQL_TYPE_DATE : MYSQL_TYPE_DATETIME;
        at = &times_.emplace_back(when);
        break;
      }
      case storage::time: {
        MYSQL_TIME when{};
        const auto micros = static_cast<std::uint64_t>(from.integer < 0 ? -from.integer : from.integer);
        when.neg = from.integer < 0;
        when.day = static_cast<unsigned>(micros / 86'400'000'000);  // an hour has one byte on the wire
        when.hour = static_cast<unsigned>(micros / 3'600'000'000 % 24);
        when.minute = static_cast<unsigned>(micros / 60'000'000 % 60);
        when.second = static_cast<unsigned>(micros / 1'000'000 % 60);
        when.second_part = static_cast<unsigned long>(micros % 1'000'000);
        when.time_type = MYSQL_TIMESTAMP_TIME;
        bind.buffer_type = MYSQL_TYPE_TIME;
        at = &times_.emplace_back(when);
        break;
      }
    }
    bind.buffer = const_cast<void*>(at);  // of a parameter it is read only
  }

  std::vector<MYSQL_BIND> binds_;
  std::vector<MYSQL_TIME> times_;
};
using parameter_binds = basic_parameter_binds<>;

}  // namespace tidepool::inline TIDEPOOL_VERSION_NAMESPACE::mysql::detail

#endif
