#include "api/token_input.hpp"

#include <algorithm>
#include <limits>

namespace hf::api {

std::vector<wire::Token> read_tokens(Fields& fields, std::string_view name, Json array) {
  constexpr std::int64_t kMost = std::numeric_limits<wire::Token>::max();
  std::vector<wire::Token> tokens;
  tokens.reserve(array.size());
  for (const auto item : array) {
    const auto id = item.is(JsonKind::number) ? item.integer() : std::nullopt;
    if (!id || *id < 0 || *id > kMost) {
      const auto place = item_path(name, tokens.size());
      if (item.is(JsonKind::number)) {
        fields.fail(place, TextId::out_of_range, item.raw().substr(0, 32), 0, kMost);
      } else {
        fields.fail_with(place, say(fields.language(), TextId::want_integer, fields.path(place)),
                         "invalid_type");
      }
      return {};
    }
    tokens.push_back(static_cast<wire::Token>(*id));
  }
  return tokens;
}

std::string outside_vocabulary(const std::vector<wire::Token>& tokens, std::uint32_t vocabulary,
                               std::string_view name, Language language) {
  const auto outside = std::ranges::find_if(tokens, [vocabulary](wire::Token token) {
    return token < 0 || static_cast<std::uint32_t>(token) >= vocabulary;
  });
  if (outside == tokens.end() || vocabulary == 0) return {};
  const auto place = item_path(name, static_cast<std::size_t>(outside - tokens.begin()));
  return say(language, TextId::out_of_range, place, *outside, 0, vocabulary - 1);
}

}  // namespace hf::api
