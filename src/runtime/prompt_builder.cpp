#include "runtime/prompt_builder.hpp"

#include <algorithm>
#include <format>
#include <optional>

#include <nlohmann/json.hpp>

#include "base/utf8.hpp"

namespace hf::runtime {
namespace {

// A control token's text that a user typed travels through the template as one private-use
// character of a range that no template touches, and comes out as plain text tokens.
constexpr char32_t kSentinelFirst = 0x10F000;
constexpr std::size_t kSentinelCount = 0xF00;

std::string sentinel(std::size_t index) {
  std::string out;
  utf8::append(out, static_cast<char32_t>(kSentinelFirst + index));
  return out;
}

std::optional<std::size_t> control_at(std::string_view text, std::size_t at,
                                      const std::vector<std::string>& controls) {
  for (std::size_t i = 0; i < controls.size() && i < kSentinelCount; ++i) {
    if (text.substr(at).starts_with(controls[i])) return i;
  }
  return std::nullopt;
}

bool may_start_control(char c) {
  return c == '<' || c == '[';
}

// True if a sentinel was put in.
bool shield_text(std::string& text, const std::vector<std::string>& controls) {
  std::string out;
  bool changed = false;
  for (std::size_t at = 0; at < text.size();) {
    const auto found = may_start_control(text[at]) ? control_at(text, at, controls) : std::nullopt;
    if (found) {
      out += sentinel(*found);
      at += controls[*found].size();
      changed = true;
    } else {
      out.push_back(text[at++]);
    }
  }
  if (changed) text = std::move(out);
  return changed;
}

bool shield_values(nlohmann::ordered_json& node, const std::vector<std::string>& controls) {
  if (node.is_string()) {
    auto text = node.get<std::string>();
    if (!shield_text(text, controls)) return false;
    node = std::move(text);
    return true;
  }
  bool changed = false;
  if (node.is_structured()) {
    for (auto& item : node) changed = shield_values(item, controls) || changed;
  }
  return changed;
}

struct Segment {
  std::string_view text;
  std::optional<std::size_t> control;  // Set: stands for this control text, as plain text.
};

std::vector<Segment> split_at_sentinels(std::string_view text) {
  std::vector<Segment> segments;
  std::size_t start = 0;
  for (std::size_t at = 0; at + 4 <= text.size(); ++at) {
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[at + i]); };
    if (byte(0) != 0xF4 || byte(1) != 0x8F) continue;
    const auto code = 0x100000U + (0xFU << 12U) + ((byte(2) & 0x3FU) << 6U) + (byte(3) & 0x3FU);
    if (code < kSentinelFirst || code >= kSentinelFirst + kSentinelCount) continue;
    segments.push_back({text.substr(start, at - start), std::nullopt});
    segments.push_back({{}, code - kSentinelFirst});
    start = at + 4;
    at += 3;
  }
  segments.push_back({text.substr(start), std::nullopt});
  return segments;
}

}  // namespace

PromptBuilder::PromptBuilder(const Tokenizer& tokenizer, chat::FencedRenderer* renderer,
                             std::string bos_text, std::uint32_t tokens_max)
    : tokenizer_(tokenizer),
      renderer_(renderer),
      bos_text_(std::move(bos_text)),
      tokens_max_(tokens_max) {
  for (std::uint32_t token = 0; token < tokenizer.vocabulary(); ++token) {
    const auto id = static_cast<Token>(token);
    auto piece = tokenizer.piece(id, true);
    piece_bytes_max_ = std::max(piece_bytes_max_, piece.size());
    if (tokenizer.is_control(id) && piece.size() > 2 && may_start_control(piece[0])) {
      control_texts_.push_back(std::move(piece));
    }
  }
  std::ranges::sort(control_texts_, [](const auto& a, const auto& b) {
    return a.size() != b.size() ? a.size() > b.size() : a < b;
  });
  // A template's BOS goes only where the tokenizer would add a second one.
  const auto added = tokenizer.tokenize("", true, true);
  if (added.empty() || tokenizer.piece(added.front(), true) != bos_text_) bos_text_.clear();
}

Result<void> PromptBuilder::check_length(std::string_view text) const {
  const auto tokens_min = text.size() / piece_bytes_max_;
  if (tokens_min <= tokens_max_) return {};
  return fail(Errc::invalid_argument,
              std::format("This model's maximum context length is {} tokens; the prompt has at "
                          "least {}. Shorten it.",
                          tokens_max_, tokens_min));
}

Result<std::vector<Token>> PromptBuilder::plain(std::string_view text, bool add_special,
                                                bool parse_special) const {
  if (!utf8::valid(text)) {
    return fail(Errc::invalid_argument, "The text is not valid UTF-8; send it as UTF-8.");
  }
  HF_TRY_VOID(check_length(text));
  return tokenizer_.tokenize(text, add_special, parse_special);
}

Result<BuiltPrompt> PromptBuilder::chat(const wire::Prompt& prompt) const {
  if (renderer_ == nullptr) {
    return fail(Errc::failed_precondition,
                "This model has no chat template; use /v1/completions, or a chat model.");
  }
  HF_TRY_VOID(check_length(prompt.messages_json));
  chat::RenderRequest request{.messages_json = prompt.messages_json,
                              .tools_json = prompt.tools_json,
                              .template_args_json = prompt.template_args_json,
                              .add_generation_prompt = prompt.add_generation_prompt != 0};
  // Only texts that may hold a control token (also as a JSON escape) are taken apart.
  const bool suspicious = request.messages_json.find("\\u") != std::string::npos ||
                          std::ranges::any_of(control_texts_, [&](const std::string& control) {
                            return request.messages_json.contains(control);
                          });
  if (suspicious) {
    auto messages = nlohmann::ordered_json::parse(request.messages_json, nullptr, false);
    if (!messages.is_discarded() && shield_values(messages, control_texts_)) {
      request.messages_json = messages.dump();
    }
  }
  auto text = HF_TRY(renderer_->render(request));
  HF_TRY_VOID(check_length(text));
  std::string_view rest = text;
  if (!bos_text_.empty() && rest.starts_with(bos_text_)) rest.remove_prefix(bos_text_.size());
  BuiltPrompt built;
  bool first = true;
  for (const auto& segment : split_at_sentinels(rest)) {
    const auto part =
        segment.control ? std::string_view(control_texts_[*segment.control]) : segment.text;
    if (part.empty() && !first) continue;
    const auto tokens = tokenizer_.tokenize(part, first, !segment.control);
    built.tokens.insert(built.tokens.end(), tokens.begin(), tokens.end());
    first = false;
  }
  built.text = std::move(text);
  return built;
}

Result<BuiltPrompt> PromptBuilder::build(const wire::Prompt& prompt) const {
  switch (prompt.kind) {
    case wire::PromptKind::chat:
      return chat(prompt);
    case wire::PromptKind::text: {
      BuiltPrompt built;
      built.tokens = HF_TRY(plain(prompt.text, true, true));
      built.text = prompt.text;
      return built;
    }
    case wire::PromptKind::tokens:
      break;
  }
  for (const auto token : prompt.tokens) {
    if (token < 0 || static_cast<std::uint32_t>(token) >= tokenizer_.vocabulary()) {
      return fail(Errc::invalid_argument,
                  std::format("Token {} is outside this model's vocabulary of {}.", token,
                              tokenizer_.vocabulary()));
    }
  }
  return BuiltPrompt{.tokens = prompt.tokens, .text = {}};
}

}  // namespace hf::runtime
