#include "api/exchange.hpp"

#include <algorithm>

namespace hf::api {

std::optional<std::string_view> HttpRequest::header(std::string_view name) const {
  const auto found = std::ranges::find(headers, name, &std::pair<std::string, std::string>::first);
  if (found == headers.end()) return std::nullopt;
  return found->second;
}

}  // namespace hf::api
