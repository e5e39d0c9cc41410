// SPDX-License-Identifier: BSL-1.0
// tidepool - takes a file of SQL apart as psql does: statements, psql's own commands, the data of COPY.
#ifndef TIDEPOOL_TESTS_DIFFERENTIAL_SPLITTER_HPP
#define TIDEPOOL_TESTS_DIFFERENTIAL_SPLITTER_HPP

#include <algorithm>
#include <cctype>
#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tidepool_differential {

/// psql's variables. Each side has its own: what \gset keeps may be a process id.
using variables = std::map<std::string, std::string, std::less<>>;

inline bool is_word(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || static_cast<unsigned char>(c) >= 0x80;
}
inline bool is_space(char c) { return std::isspace(static_cast<unsigned char>(c)) != 0; }
inline std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

/// Text with places for variables: `:name`, `:'name'`, `:"name"`, `:{?name}`. One that is not set stays as it is written.
class sql_text {
 public:
  void add(char c) { add(std::string_view(&c, 1)); }
  void add(std::string_view plain) {
    if (pieces_.empty() || pieces_.back().kind != 0) pieces_.push_back({0, {}});
    pieces_.back().text.append(plain);
  }
  void add_variable(char kind, std::string_view name) { pieces_.push_back({kind, std::string(name)}); }
  void clear() { pieces_.clear(); }
  bool blank() const {
    return std::all_of(pieces_.begin(), pieces_.end(),
                       [](const piece& p) { return p.kind == 0 && std::all_of(p.text.begin(), p.text.end(), is_space); });
  }

  std::string render(const variables& known) const {
    std::string out;
    for (const auto& [kind, text] : pieces_) {
      const auto at = known.find(text);
      if (kind == 0) {
        out += text;
      } else if (kind == '?') {
        out += at == known.end() ? "FALSE" : "TRUE";
      } else if (at == known.end()) {
        out += kind == ':' ? ":" + text : ":" + std::string(1, kind) + text + kind;
      } else if (kind == ':') {
        out += at->second;
      } else {
        out += kind;
        for (const char c : at->second) out += c == kind ? std::string(2, c) : std::string(1, c);
        out += kind;
      }
    }
    return out;
  }

 private:
  struct piece {
    char kind;  ///< 0: as it is
    std::string text;
  };
  std::vector<piece> pieces_;
};

struct item {
  enum class type { statement, command };
  type what = type::statement;
  sql_text sql = {};         ///< of a statement
  std::string command = {};  ///< psql's: for a statement what ended it, empty for a semicolon
  sql_text arguments = {};
  bool several = false;  ///< statements joined by \;
};

/// Reads on only when asked, because what comes next depends on what the server said: the data of a COPY, how a backslash counts.
class splitter {
 public:
  explicit splitter(std::string file) : file_(std::move(file)) {}

  /// The next statement or command; empty at the end. In strings a backslash is one character unless `escapes`.
  std::optional<item> next(bool escapes = false) {
    sql_text& text = pending_;
    while (at_ < file_.size()) {
      const char c = file_[at_];
      const std::string_view rest = std::string_view(file_).substr(at_);
      if (rest.starts_with("--")) {
        at_ = std::min(file_.find('\n', at_), file_.size());
      } else if (rest.starts_with("/*")) {
        comment(text);
      } else if (c == '\'') {
        quoted(text, '\'', escapes || after_escape_mark());
      } else if (c == '"') {
        quoted(text, '"', false);
      } else if (c == '$' && dollar_quoted(text)) {
      } else if (c == ':') {
        variable(text, true);
      } else if (is_word(c)) {
        word(text);
      } else if (c == '\\') {
        if (rest.starts_with("\\;")) {
          text.add(';');
          several_ = true;
          at_ += 2;
          continue;
        }
        if (rest.starts_with("\\:")) {
          text.add(':');
          at_ += 2;
          continue;
        }
        auto made = command();
        if (made) return made;
      } else {
        parentheses_ += c == '(' ? 1 : c == ')' ? -1 : 0;
        ++at_;
        if (c == ';' && parentheses_ <= 0 && block_depth_ == 0) {
          const bool nothing = text.blank();
          auto made = statement({});
          if (!nothing) return made;
          continue;
        }
        if (!(text.blank() && is_space(c))) text.add(c);
      }
    }
    if (text.blank()) return std::nullopt;
    return statement({});
  }

  /// The lines after the current one up to the one that says `\.`, as they stand in the file.
  std::string copy_data() {
    auto from = file_.find('\n', at_);
    if (from == std::string::npos) return {};
    ++from;
    auto to = from;
    auto end = from;
    while (to < file_.size()) {
      end = std::min(file_.find('\n', to), file_.size());
      const bool last = std::string_view(file_).substr(to, end - to) == "\\.";
      end = std::min(end + 1, file_.size());
      if (last) break;
      to = end;
    }
    std::string data = file_.substr(from, to - from);
    file_.erase(from, end - from);
    return data;
  }

 private:
  item statement(std::string ended_by) {
    item made;
    made.sql = std::exchange(pending_, {});
    made.command = std::move(ended_by);
    made.several = std::exchange(several_, false);
    parentheses_ = block_depth_ = 0;
    words_.clear();
    return made;
  }

  void comment(sql_text& text) {
    int depth = 0;
    const auto from = at_;
    do {
      const std::string_view rest = std::string_view(file_).substr(at_);
      if (rest.starts_with("/*")) ++depth;
      if (rest.starts_with("*/")) --depth;
      at_ += rest.starts_with("/*") || rest.starts_with("*/") ? 2U : 1U;
    } while (depth > 0 && at_ < file_.size());
    at_ = std::min(at_, file_.size());
    text.add(std::string_view(file_).substr(from, at_ - from));
  }

  /// E'...', where the E is no end of a longer word.
  bool after_escape_mark() const {
    if (at_ == 0 || (file_[at_ - 1] != 'e' && file_[at_ - 1] != 'E')) return false;
    return at_ < 2 || !is_word(file_[at_ - 2]);
  }

  void quoted(sql_text& text, char quote, bool escapes) {
    const auto from = at_++;
    while (at_ < file_.size() && file_[at_] != quote) at_ += escapes && file_[at_] == '\\' ? 2U : 1U;
    at_ = std::min(at_ + 1, file_.size());  // a doubled quote is the begin of the next string
    text.add(std::string_view(file_).substr(from, at_ - from));
  }

  bool dollar_quoted(sql_text& text) {
    auto end = at_ + 1;
    if (end < file_.size() && std::isdigit(static_cast<unsigned char>(file_[end])) != 0) return false;
    while (end < file_.size() && is_word(file_[end])) ++end;
    if (end >= file_.size() || file_[end] != '$') return false;
    const std::string tag = file_.substr(at_, end + 1 - at_);
    const auto close = file_.find(tag, end + 1);
    const auto past = close == std::string::npos ? file_.size() : close + tag.size();
    text.add(std::string_view(file_).substr(at_, past - at_));
    at_ = past;
    return true;
  }

  void variable(sql_text& text, bool in_sql) {
    const std::string_view rest = std::string_view(file_).substr(at_ + 1);
    if (in_sql && (rest.starts_with(":") || rest.starts_with("="))) {
      text.add(std::string_view(file_).substr(at_, 2));
      at_ += 2;
      return;
    }
    const bool test = rest.starts_with("{?");
    const char quote = !rest.empty() && (rest[0] == '\'' || rest[0] == '"') ? rest[0] : ':';
    const std::size_t skip = test ? 2 : quote == ':' ? 0 : 1;
    std::size_t size = 0;
    while (skip + size < rest.size() && is_word(rest[skip + size])) ++size;
    const char closing = test ? '}' : quote;
    const bool closed = (quote == ':' && !test) || (skip + size < rest.size() && rest[skip + size] == closing);
    if (size == 0 || !closed) {
      text.add(':');
      ++at_;
      return;
    }
    text.add_variable(test ? '?' : quote, rest.substr(skip, size));
    at_ += 1 + skip + size + (quote == ':' && !test ? 0 : 1);
  }

  /// The body of an SQL function may be written out: semicolons between BEGIN ATOMIC and END do not end the statement.
  void word(sql_text& text) {
    const auto from = at_;
    // A $ belongs to the word it follows.
    while (at_ < file_.size() && (is_word(file_[at_]) || file_[at_] == '$')) ++at_;
    const std::string_view whole = std::string_view(file_).substr(from, at_ - from);
    text.add(whole);
    const std::string said = lower(whole);
    if (words_.size() < 4) words_.push_back(said);
    const bool makes =
        words_[0] == "create" && words_.size() > 1 &&
        (is_routine(words_[1]) || (words_.size() > 3 && words_[1] == "or" && words_[2] == "replace" && is_routine(words_[3])));
    if (!makes || parentheses_ > 0) return;
    if (said == "begin") ++block_depth_;
    if (said == "case" && block_depth_ > 0) ++block_depth_;
    if (said == "end" && block_depth_ > 0) --block_depth_;
  }
  static bool is_routine(std::string_view kind) { return kind == "function" || kind == "procedure"; }

  /// A command of psql's, with its arguments, which end with the line or at the next backslash outside of quotes.
  std::optional<item> command() {
    ++at_;
    const auto from = at_;
    while (at_ < file_.size() && (std::isalpha(static_cast<unsigned char>(file_[at_])) != 0 || file_[at_] == '!' || file_[at_] == '?'))
      ++at_;
    const std::string name = file_.substr(from, at_ - from);
    if (name.empty()) {  // a separator: two backslashes
      at_ = std::min(at_ + 1, file_.size());
      return std::nullopt;
    }
    const bool whole_line = name == "copy" || name == "!" || name == "sf" || name == "sv";
    sql_text arguments;
    while (at_ < file_.size() && file_[at_] != '\n' && (whole_line || file_[at_] != '\\')) {
      const char c = file_[at_];
      if (c == '\'') {
        quoted(arguments, '\'', true);
      } else if (c == '"') {
        quoted(arguments, '"', false);
      } else if (c == ':' && !whole_line) {
        variable(arguments, false);
      } else {
        arguments.add(c);
        ++at_;
      }
    }
    if (name == "g" || name == "gx" || name == "gset" || name == "gexec" || name == "gdesc" || name == "crosstabview" || name == "watch") {
      item made = statement(name);
      made.arguments = std::move(arguments);
      return made;
    }
    if (name == "r" || name == "reset") (void)statement({});
    item made;
    made.what = item::type::command;
    made.command = name;
    made.arguments = std::move(arguments);
    return made;
  }

  std::string file_;
  std::size_t at_ = 0;
  sql_text pending_;
  bool several_ = false;
  int parentheses_ = 0;
  int block_depth_ = 0;
  std::vector<std::string> words_;  ///< the first few of the statement
};

/// The words of a psql command's arguments; 'quoted ones' lose their quotes.
inline std::vector<std::string> words_of(std::string_view arguments) {
  std::vector<std::string> out;
  for (std::size_t i = 0; i < arguments.size();) {
    if (is_space(arguments[i])) {
      ++i;
      continue;
    }
    std::string word;
    while (i < arguments.size() && !is_space(arguments[i])) {
      const char c = arguments[i++];
      if (c != '\'' && c != '"') {
        word += c;
        continue;
      }
      while (i < arguments.size()) {
        if (arguments[i] == c && i + 1 < arguments.size() && arguments[i + 1] == c)
          ++i;
        else if (arguments[i] == c)
          break;
        word += arguments[i++];
      }
      ++i;
    }
    out.push_back(std::move(word));
  }
  return out;
}

}  // namespace tidepool_differential

#endif
