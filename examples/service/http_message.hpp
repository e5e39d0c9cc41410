// SPDX-License-Identifier: BSL-1.0
// tidepool - requests and responses as the handlers see them: no sockets, no parser, so that handlers can be tested without either.
#ifndef TIDEPOOL_EXAMPLES_HTTP_MESSAGE_HPP
#define TIDEPOOL_EXAMPLES_HTTP_MESSAGE_HPP

#include <string>
#include <utility>

namespace http {

/// A request (method, target) or a response (status).
struct message {
  std::string method;
  std::string target;
  int status = 0;
  std::string body;
  bool keep_alive = false;
};

struct response {
  response(int code, std::string text, const char* content_type = "application/json")
      : status(code), body(std::move(text)), type(content_type) {}

  int status;
  std::string body;
  const char* type;
};

}  // namespace http

#endif
