#include "chat/output_parser.hpp"

#include <algorithm>
#include <format>
#include <utility>

#include "base/digest.hpp"
#include "chat/call_head.hpp"
#include "chat/json_scan.hpp"

namespace hf::chat {
namespace {

constexpr std::string_view kSpaces = " \n\r\t";
constexpr std::size_t kTailBytesMax = 4096;

// Length of the longest end of `text` that may be the beginning of `wanted`.
std::size_t partial_at_end(std::string_view text, std::string_view wanted) {
  for (auto size = std::min(text.size(), wanted.size() - 1); size > 0; --size) {
    if (text.ends_with(wanted.substr(0, size))) return size;
  }
  return 0;
}

std::size_t spaces_before(std::string_view text) {
  return std::min(text.find_first_not_of(kSpaces), text.size());
}

std::vector<std::string_view> call_closers(ToolStyle style, bool in_array) {
  switch (style) {
    case ToolStyle::hermes:
    case ToolStyle::generic:
      return {marker::kHermesClose};
    case ToolStyle::mistral:
      return in_array ? std::vector<std::string_view>{"]"} : std::vector<std::string_view>{};
    case ToolStyle::deepseek:
      return {marker::kFence, marker::kDeepseekCallEnd, marker::kDeepseekCallsEnd};
    case ToolStyle::none:
    case ToolStyle::llama3:
      break;
  }
  return {};
}

}  // namespace

// Decisions are functions of the text from the decision's place on, never of how much of it has
// come: a step that more text could change waits, unless `final`.
struct OutputParser::State {
  enum class Mode : std::uint8_t {
    start,
    reasoning,
    after_reasoning,
    content,
    head,
    next_object,
    arguments,
    object_tail,
    tail,
  };

  State(OutputStyle output_style, bool tools_allowed, std::string seed)
      : style(output_style), id_seed(std::move(seed)) {
    if (!tools_allowed) style.tools = ToolStyle::none;
    starts = call_starts(style.tools);
    if (style.reasoning == ReasoningStyle::none) mode = Mode::content;
  }

  OutputDelta run(std::string_view text, bool last) {
    final = last;
    buffer += text;
    out = {};
    while (step()) {
    }
    buffer.erase(0, at);
    at = 0;
    if (final) flush();
    return std::exchange(out, {});
  }

  // True if it went on and another step may be possible.
  bool step() {
    switch (mode) {
      case Mode::start:
        return start_step();
      case Mode::reasoning:
        return reasoning_step();
      case Mode::after_reasoning:
        return after_reasoning_step();
      case Mode::content:
        return content_step();
      case Mode::head:
      case Mode::next_object:
        return head_step();
      case Mode::arguments:
        return arguments_step();
      case Mode::object_tail:
        return object_tail_step();
      case Mode::tail:
        return tail_step();
    }
    return false;
  }

  [[nodiscard]] std::string_view rest() const { return std::string_view(buffer).substr(at); }

  bool go(Mode next) {
    mode = next;
    return true;
  }

  bool start_step() {
    const auto spaces = spaces_before(rest());
    const auto text = rest().substr(spaces);
    if (text.starts_with(marker::kThinkOpen)) {
      at += spaces + marker::kThinkOpen.size();
      return go(Mode::reasoning);
    }
    if (!final && marker::kThinkOpen.starts_with(text)) return false;
    return go(style.reasoning_open ? Mode::reasoning : Mode::content);
  }

  bool reasoning_step() {
    const auto text = rest();
    const auto close = text.find(marker::kThinkClose);
    if (close != std::string_view::npos) {
      emit_reasoning(text.substr(0, close));
      at += close + marker::kThinkClose.size();
      return go(Mode::after_reasoning);
    }
    const auto kept = final ? 0 : partial_at_end(text, marker::kThinkClose);
    emit_reasoning(text.substr(0, text.size() - kept));
    at += text.size() - kept;
    return false;
  }

  bool after_reasoning_step() {
    at += spaces_before(rest());
    return !rest().empty() && go(Mode::content);
  }

  bool content_step() {
    const auto text = rest();
    if (starts.empty()) {
      out.content += text;
      at += text.size();
      return false;
    }
    if (answer_start && style.tools == ToolStyle::llama3) {
      const auto spaces = spaces_before(text);
      if (spaces == text.size() && !final) return false;
      if (spaces < text.size() && text[spaces] == '{') return begin_head(text, spaces);
      answer_start = false;
    }
    auto found = std::string_view::npos;
    std::size_t kept = 0;
    for (const auto start : starts) {
      found = std::min(found, text.find(start));
      if (!final) kept = std::max(kept, partial_at_end(text, start));
    }
    if (found != std::string_view::npos) return begin_head(text, found);
    emit_content(text.substr(0, text.size() - kept));
    at += text.size() - kept;
    return false;
  }

  bool begin_head(std::string_view text, std::size_t place) {
    emit_content(text.substr(0, place));
    at += place;
    retry_bytes = 0;
    return go(Mode::head);
  }

  bool head_step() {
    const auto text = rest();
    if (!final && text.size() < retry_bytes) return false;
    const auto head =
        mode == Mode::head ? read_call_head(style.tools, text) : read_next_object(text, in_array);
    if (head.state == HeadState::incomplete && !final && text.size() <= kHeadBytesMax) {
      // Long heads are read again only after growing by an eighth, to stay linear.
      retry_bytes = text.size() + 1 + (text.size() > 512 ? text.size() / 8 : 0);
      return false;
    }
    if (head.state == HeadState::incomplete || head.state == HeadState::malformed ||
        head.consumed > kHeadBytesMax) {
      return give_up_head(text);
    }
    begin_call(head);
    return true;
  }

  bool give_up_head(std::string_view text) {
    answer_start = false;
    if (!text.empty()) {
      emit_content(text.substr(0, 1));
      ++at;
    }
    return go(Mode::content);
  }

  void begin_call(const CallHead& head) {
    held.clear();
    const auto index = calls++;
    out.tool_calls.push_back({index, call_id(index), head.name, {}});
    at += head.consumed;
    in_object = head.in_object;
    in_array = head.in_array;
    after_call = true;
    if (head.state == HeadState::complete) {
      out.tool_calls.push_back({.index = index, .arguments = head.arguments});
      mode = Mode::tail;
      return;
    }
    scanner = {};
    mode = Mode::arguments;
  }

  [[nodiscard]] std::string call_id(std::uint32_t index) const {
    return "call_" + sha256_hex(std::format("{}/{}", id_seed, index)).substr(0, 24);
  }

  bool arguments_step() {
    const auto text = rest();
    std::string piece;
    std::size_t taken = 0;
    auto step = JsonScanner::Step::more;
    while (taken < text.size() && step == JsonScanner::Step::more) {
      const bool quoted = scanner.in_string();
      step = scanner.push(text[taken]);
      if (step == JsonScanner::Step::broken) break;
      append_json_safe(piece, text[taken++], quoted);
    }
    at += taken;
    if (!piece.empty()) out.tool_calls.push_back({.index = calls - 1, .arguments = piece});
    if (step == JsonScanner::Step::done) return go(in_object ? Mode::object_tail : Mode::tail);
    return step == JsonScanner::Step::broken && go(Mode::content);
  }

  bool object_tail_step() {
    const auto text = rest();
    const auto found = read_object_tail(text);
    if (found.state == TailState::incomplete && !final && text.size() <= kTailBytesMax)
      return false;
    if (found.state == TailState::closed && found.consumed <= kTailBytesMax) {
      at += found.consumed;
      return go(Mode::tail);
    }
    return go(Mode::content);
  }

  bool tail_step() {
    const auto spaces = spaces_before(rest());
    const auto text = rest().substr(spaces);
    if (text.empty() && !final) return false;
    for (const auto closer : call_closers(style.tools, in_array)) {
      if (text.starts_with(closer)) {
        at += spaces + closer.size();
        return go(style.tools == ToolStyle::deepseek ? Mode::tail : Mode::content);
      }
      if (closer.starts_with(text)) {
        if (!final) return false;
        at = buffer.size();  // The end cut a marker in two.
      }
    }
    answer_start = style.tools == ToolStyle::llama3;
    if (text.starts_with(';') && answer_start) return separator(spaces, Mode::content);
    if (text.starts_with(',') && in_array) return separator(spaces, Mode::next_object);
    return go(Mode::content);
  }

  // Kept as text in case that no call follows.
  bool separator(std::size_t spaces, Mode next) {
    held += rest().substr(0, spaces + 1);
    at += spaces + 1;
    retry_bytes = 0;
    return go(next);
  }

  void emit_reasoning(std::string_view text) {
    if (out.reasoning.empty() && !reasoning_begun) text.remove_prefix(spaces_before(text));
    if (text.empty()) return;
    reasoning_begun = true;
    emit_but_spaces(text, held_reasoning, out.reasoning);
  }

  void emit_content(std::string_view text) {
    if (emit_but_spaces(text, held, out.content)) after_call = answer_start = false;
  }

  // Keeps the spaces at the end back. True if anything went out.
  static bool emit_but_spaces(std::string_view text, std::string& kept, std::string& to) {
    const auto last = text.find_last_not_of(kSpaces);
    if (last == std::string_view::npos) {
      kept += text;
      return false;
    }
    to += kept;
    to += text.substr(0, last + 1);
    kept = text.substr(last + 1);
    return true;
  }

  void flush() {
    const bool only_separators = held.find_first_not_of(" \n\r\t;") == std::string::npos;
    if (!after_call || !only_separators) out.content += held;
    held.clear();
  }

  OutputStyle style;
  std::string id_seed;
  std::vector<std::string_view> starts = {};
  Mode mode = Mode::start;
  std::string buffer = {};
  std::size_t at = 0;
  bool final = false;
  OutputDelta out = {};
  std::string held = {};            // Content that is dropped if a tool call follows.
  std::string held_reasoning = {};  // Spaces that are dropped if the reasoning ends.
  bool reasoning_begun = false;
  bool answer_start = true;  // Nothing but spaces has come where a Llama 3 call may begin with '{'.
  bool after_call = false;   // Nothing but spaces has come since the last call.
  bool in_object = false;
  bool in_array = false;
  std::size_t retry_bytes = 0;
  std::uint32_t calls = 0;
  JsonScanner scanner = {};
};

OutputParser::OutputParser(OutputStyle style, bool tools_allowed, std::string id_seed)
    : state_(std::make_unique<State>(style, tools_allowed, std::move(id_seed))) {}

OutputParser::~OutputParser() = default;
OutputParser::OutputParser(OutputParser&&) noexcept = default;

OutputDelta OutputParser::feed(std::string_view text) {
  return state_->run(text, false);
}

OutputDelta OutputParser::finish() {
  return state_->run({}, true);
}

std::uint32_t OutputParser::tool_calls() const {
  return state_->calls;
}

}  // namespace hf::chat
