// SPDX-License-Identifier: BSL-1.0
// tidepool - a recording as a picture: a lane for each connection, the queue, and the callers that ran out of time.
#ifndef TIDEPOOL_EXAMPLES_REPLAY_PICTURE_HPP
#define TIDEPOOL_EXAMPLES_REPLAY_PICTURE_HPP

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <map>
#include <string>
#include <vector>

#include "story.hpp"

namespace story {

/// Writes one SVG, of 1000 points width, that needs nothing else to be shown.
class picture {
 public:
  explicit picture(const recording& from)
      : from_(from),
        calls_(from.calls()),
        begin_(from.begins_at()),
        length_(std::max<duration>(from.length(), std::chrono::nanoseconds(1))) {}

  std::string svg() {
    const auto connections = connections_of(from_);
    const auto queue = queue_of(calls_);
    choose_colors();
    const double lanes = 60;
    const double queue_top = lanes + lane * static_cast<double>(connections.size()) + 24;
    const double bottom = queue_top + queue_height;
    add("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 1000 %.0f\" font-family=\"sans-serif\" font-size=\"12\">\n", bottom + 76);
    add("<rect width=\"100%%\" height=\"100%%\" fill=\"#ffffff\"/>\n");
    add("<text x=\"%.0f\" y=\"22\" font-size=\"16\" fill=\"#222222\">%s: %.3g s, recorded because of a %s</text>\n", left,
        escaped(from_.pool).c_str(), seconds(length_), to_string(from_.reason));
    add("<text x=\"%.0f\" y=\"42\" fill=\"#555555\">%s</text>\n", left, summary().c_str());
    grid(lanes, bottom);
    double y = lanes;
    for (const auto& [id, c] : connections) {
      draw(c, y);
      y += lane;
    }
    draw_queue(queue, queue_top);
    draw_timeouts(queue_top);
    legend(bottom + 38);
    add("</svg>\n");
    return std::move(out_);
  }

 private:
  static constexpr double left = 84;
  static constexpr double width = 880;
  static constexpr double lane = 16;
  static constexpr double queue_height = 90;

#if defined(__GNUC__)
  [[gnu::format(printf, 2, 3)]]
#endif
  void
  add(const char* format, ...) {
    char text[600];
    va_list arguments;
    va_start(arguments, format);
    std::vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    out_ += text;
  }
  static std::string escaped(const std::string& text) {
    std::string out;
    for (const char c : text) {
      if (c == '<') {
        out += "&lt;";
      } else if (c == '&') {
        out += "&amp;";
      } else {
        out += c;
      }
    }
    return out;
  }
  double x(duration at) const { return left + width * seconds(at - begin_) / seconds(length_); }
  /// Of those that last too short to be seen a line is left.
  void box(duration from, duration to, double y, double height, const char* color) {
    add("<rect x=\"%.2f\" y=\"%.1f\" width=\"%.2f\" height=\"%.1f\" fill=\"%s\"/>\n", x(from), y, std::max(0.4, x(to) - x(from)), height,
        color);
  }

  std::string summary() const {
    const auto f = from_.figures();
    char text[200];
    std::snprintf(text, sizeof text, "%llu acquires, %llu of them timeouts; wait p50 %.1f ms, p99 %.1f ms; at most %zu leased of %zu open",
                  static_cast<unsigned long long>(f.calls), static_cast<unsigned long long>(f.timeouts), ms(f.wait_p50), ms(f.wait_p99),
                  f.most_leased, f.most_open);
    return text;
  }
  /// The places that hold connections longest have a color each.
  void choose_colors() {
    static constexpr const char* palette[] = {"#1f77b4", "#ff9f40", "#2ca02c", "#9467bd", "#8c564b"};
    std::map<std::uint16_t, duration> held;
    for (const recorded_call& c : calls_) {
      if (c.what == recorded_call::outcome::served) held[c.place] += c.held();
    }
    std::vector<std::pair<duration, std::uint16_t>> order;
    for (const auto& [place, time] : held) order.emplace_back(time, place);
    std::sort(order.rbegin(), order.rend());
    for (std::size_t i = 0; i < order.size() && i < std::size(palette); ++i) colors_.emplace_back(order[i].second, palette[i]);
  }
  const char* color_of(std::uint16_t place) const {
    for (const auto& [known, color] : colors_) {
      if (known == place) return color;
    }
    return "#7f7f7f";
  }

  void grid(double top, double bottom) {
    for (int i = 0; i <= 10; ++i) {
      const double at = left + width * i / 10;
      add("<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" stroke=\"#e4e4e4\"/>\n", at, top - 4, at, bottom);
      add("<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\" fill=\"#777777\">%.3g s</text>\n", at, bottom + 16,
          seconds(length_) * i / 10);
    }
  }
  void draw(const connection& c, double y) {
    static constexpr const char* colors[] = {"#dcdcdc", "#f7d94c", "", "#17becf", "#e377c2", "#555555"};
    add("<text x=\"%.0f\" y=\"%.1f\" text-anchor=\"end\" fill=\"#333333\">%llu</text>\n", left - 8, y + 11,
        static_cast<unsigned long long>(c.id));
    if (c.spans.empty()) return;
    box(c.spans.front().from, c.spans.back().to, y + 1, lane - 3, colors[static_cast<int>(doing::idle)]);
    // What is too short to be seen alone is drawn together with what is of its color.
    span wide;
    const char* color = nullptr;
    const auto flush = [&] {
      if (color) box(wide.from, wide.to, y + 1, lane - 3, color);
    };
    for (const span& s : c.spans) {
      if (s.what == doing::idle) continue;
      const char* const next = s.what == doing::leased ? color_of(s.place) : colors[static_cast<int>(s.what)];
      if (color == next && x(s.from) - x(wide.to) < 0.6) {
        wide.to = s.to;
        continue;
      }
      flush();
      wide = s;
      color = next;
    }
    flush();
  }
  void draw_queue(const std::vector<std::pair<duration, int>>& queue, double top) {
    int most = 1;
    for (const auto& step : queue) most = std::max(most, step.second);
    add("<text x=\"%.0f\" y=\"%.1f\" text-anchor=\"end\" fill=\"#333333\">waiting</text>\n", left - 8, top + queue_height / 2);
    add("<text x=\"%.0f\" y=\"%.1f\" text-anchor=\"end\" fill=\"#777777\">%d</text>\n", left - 8, top + 10, most);
    // The most in each point of the picture.
    std::vector<int> points(static_cast<std::size_t>(width) + 1);
    for (std::size_t i = 0; i < queue.size(); ++i) {
      const double until = x(i + 1 < queue.size() ? queue[i + 1].first : from_.made_at);
      for (double at = x(queue[i].first); at <= until; at += 1) {
        int& point = points[static_cast<std::size_t>(std::clamp(at - left, 0.0, width))];
        point = std::max(point, queue[i].second);
      }
    }
    add("<path fill=\"#9db7d5\" d=\"M%.0f %.1f", left, top + queue_height);
    for (std::size_t i = 0; i < points.size(); ++i) {
      if (i == 0 || points[i] != points[i - 1])
        add("H%.0fV%.1f", left + static_cast<double>(i), top + queue_height - queue_height * points[i] / most);
    }
    add("H%.0fV%.1fZ\"/>\n", left + width, top + queue_height);
    add("<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" stroke=\"#999999\"/>\n", left, top + queue_height, left + width,
        top + queue_height);
  }
  void draw_timeouts(double top) {
    for (const recorded_call& c : calls_) {
      if (!ran_out_of_time(c)) continue;
      add("<line x1=\"%.2f\" y1=\"%.1f\" x2=\"%.2f\" y2=\"%.1f\" stroke=\"#d62728\"/>\n", x(c.answered), top - 14, x(c.answered), top - 4);
    }
  }
  void legend(double y) {
    double at = left;
    const auto entry = [&](const char* color, const std::string& text) {
      const double wide = 22 + 6.6 * static_cast<double>(text.size());
      if (at + wide > left + width) {
        at = left;
        y += 18;
      }
      add("<rect x=\"%.1f\" y=\"%.1f\" width=\"10\" height=\"10\" fill=\"%s\"/>\n", at, y - 9, color);
      add("<text x=\"%.1f\" y=\"%.1f\" fill=\"#333333\">%s</text>\n", at + 14, y, escaped(text).c_str());
      at += wide;
    };
    for (const auto& [place, color] : colors_) entry(color, "leased at " + from_.place(place));
    entry("#dcdcdc", "idle");
    entry("#f7d94c", "connecting");
    entry("#17becf", "validating");
    entry("#e377c2", "resetting");
    entry("#d62728", "a timeout");
  }

  const recording& from_;
  const std::vector<recorded_call> calls_;
  const duration begin_;
  const duration length_;
  std::vector<std::pair<std::uint16_t, const char*>> colors_;
  std::string out_;
};

}  // namespace story

#endif
