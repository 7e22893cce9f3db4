#include "chat/call_head.hpp"

#include <algorithm>

#include "chat/json_scan.hpp"

namespace hf::chat {
namespace {

enum class Scan : std::uint8_t { ok, more, bad };

bool is_name_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         c == '-' || c == '.';
}

// A place in text that may go on later. Every step either moves over something or tells why not.
class Cursor {
 public:
  explicit Cursor(std::string_view text) : text_(text) {}

  [[nodiscard]] std::size_t at() const { return at_; }
  [[nodiscard]] bool end() const { return at_ >= text_.size(); }
  [[nodiscard]] char peek() const { return text_[at_]; }
  void advance(std::size_t bytes) { at_ += bytes; }

  void spaces() {
    while (!end() && is_json_space(peek())) ++at_;
  }

  Scan literal(std::string_view wanted) {
    const auto rest = text_.substr(at_);
    if (rest.starts_with(wanted)) {
      at_ += wanted.size();
      return Scan::ok;
    }
    return wanted.starts_with(rest) ? Scan::more : Scan::bad;
  }

  // One JSON value; `raw` has its text, made valid where a string held control characters.
  Scan value(std::string& raw) {
    JsonScanner scanner;
    raw.clear();
    while (!end()) {
      const bool quoted = scanner.in_string();
      const auto step = scanner.push(peek());
      if (step == JsonScanner::Step::broken) return Scan::bad;
      if (step == JsonScanner::Step::before) return Scan::ok;
      append_json_safe(raw, peek(), quoted);
      ++at_;
      if (step == JsonScanner::Step::done) return Scan::ok;
    }
    return Scan::more;
  }

  Scan quoted(std::string& out) {
    if (end()) return Scan::more;
    if (peek() != '"') return Scan::bad;
    std::string raw;
    const auto scan = value(raw);
    if (scan != Scan::ok) return scan;
    const auto text = json_string_text(raw);
    if (!text) return Scan::bad;
    out = *text;
    return Scan::ok;
  }

  // Characters of a tool's name, at least one, ended by another character.
  Scan name(std::string& out) {
    out.clear();
    while (!end() && is_name_char(peek())) {
      if (out.size() >= 64) return Scan::bad;
      out.push_back(peek());
      ++at_;
    }
    if (end()) return Scan::more;
    return out.empty() ? Scan::bad : Scan::ok;
  }

 private:
  std::string_view text_;
  std::size_t at_ = 0;
};

CallHead stopped(Scan scan) {
  return {.state = scan == Scan::more ? HeadState::incomplete : HeadState::malformed};
}

// Arguments given as null or as a string that holds an object.
bool normalize_arguments(std::string& raw) {
  if (raw == "null") raw = "{}";
  if (raw.starts_with('"')) {
    raw = json_string_text(raw).value_or("");
    if (raw.empty()) raw = "{}";
  }
  return is_json_object(raw);
}

// Reads {"name": .., "arguments": ..} in any order of members.
class ObjectReader {
 public:
  explicit ObjectReader(Cursor& cursor) : cursor_(cursor) {}

  CallHead read() {
    auto scan = cursor_.literal("{");
    while (scan == Scan::ok) {
      scan = member();
      if (scan != Scan::ok || streams_) break;
      cursor_.spaces();
      if (cursor_.end()) return stopped(Scan::more);
      if (cursor_.peek() == '}') return finished();
      scan = cursor_.literal(",");
    }
    if (scan != Scan::ok) return stopped(scan);
    return {
        .state = HeadState::streaming, .consumed = cursor_.at(), .name = name_, .in_object = true};
  }

 private:
  Scan member() {
    std::string key;
    cursor_.spaces();
    if (const auto scan = cursor_.quoted(key); scan != Scan::ok) return scan;
    cursor_.spaces();
    if (const auto scan = cursor_.literal(":"); scan != Scan::ok) return scan;
    cursor_.spaces();
    if (cursor_.end()) return Scan::more;
    std::string ignored;
    if (key == "id" || key == "type") return cursor_.value(ignored);
    if (key == "name" && name_.empty()) return name();
    if ((key == "arguments" || key == "parameters") && arguments_.empty()) return arguments();
    return Scan::bad;
  }

  Scan name() {
    const auto scan = cursor_.quoted(name_);
    return scan == Scan::ok && !is_tool_name(name_) ? Scan::bad : scan;
  }

  Scan arguments() {
    if (cursor_.peek() == '{' && !name_.empty()) {
      streams_ = true;
      return Scan::ok;
    }
    if (std::string_view("{\"n").find(cursor_.peek()) == std::string_view::npos) return Scan::bad;
    const auto scan = cursor_.value(arguments_);
    return scan == Scan::ok && !normalize_arguments(arguments_) ? Scan::bad : scan;
  }

  CallHead finished() {
    cursor_.advance(1);
    if (name_.empty()) return stopped(Scan::bad);
    return {.state = HeadState::complete,
            .consumed = cursor_.at(),
            .name = name_,
            .arguments = arguments_.empty() ? "{}" : arguments_};
  }

  Cursor& cursor_;
  std::string name_ = {};
  std::string arguments_ = {};
  bool streams_ = false;
};

CallHead object_after(Cursor& cursor, bool in_array) {
  cursor.spaces();
  auto head = ObjectReader(cursor).read();
  head.in_array = in_array;
  return head;
}

// Arguments that follow a name directly.
CallHead streaming_after(Cursor& cursor, std::string name) {
  cursor.spaces();
  if (cursor.end()) return stopped(Scan::more);
  if (cursor.peek() != '{') return stopped(Scan::bad);
  return {.state = HeadState::streaming, .consumed = cursor.at(), .name = std::move(name)};
}

CallHead read_mistral(Cursor& cursor) {
  cursor.spaces();
  if (cursor.end()) return stopped(Scan::more);
  if (cursor.peek() == '{') return object_after(cursor, false);
  if (cursor.literal("[") == Scan::ok) return object_after(cursor, true);
  std::string name;
  std::string call_id;
  if (const auto scan = cursor.name(name); scan != Scan::ok) return stopped(scan);
  cursor.spaces();
  if (cursor.end()) return stopped(Scan::more);
  if (cursor.peek() == '{') return streaming_after(cursor, name);
  auto scan = cursor.literal(marker::kMistralCallId);
  if (scan == Scan::ok) {
    cursor.spaces();
    if (scan = cursor.name(call_id); scan != Scan::ok) return stopped(scan);
    cursor.spaces();
  } else if (scan == Scan::more) {
    return stopped(scan);
  }
  if (scan = cursor.literal(marker::kMistralArguments); scan != Scan::ok) return stopped(scan);
  return streaming_after(cursor, name);
}

CallHead read_deepseek(Cursor& cursor) {
  cursor.spaces();
  auto scan = cursor.literal(marker::kDeepseekCalls);
  if (scan == Scan::more) return stopped(scan);
  cursor.spaces();
  if (scan = cursor.literal(marker::kDeepseekCall); scan != Scan::ok) return stopped(scan);
  std::string name;
  if (scan = cursor.name(name); scan != Scan::ok) return stopped(scan);
  if (scan = cursor.literal(marker::kDeepseekSeparator); scan != Scan::ok) return stopped(scan);
  if (cursor.end()) return stopped(Scan::more);
  if (name == "function" && is_name_char(cursor.peek())) {
    if (scan = cursor.name(name); scan != Scan::ok) return stopped(scan);
  }
  cursor.spaces();
  scan = cursor.literal("```json");
  if (scan == Scan::more) return stopped(scan);
  return streaming_after(cursor, name);
}

}  // namespace

std::vector<std::string_view> call_starts(ToolStyle style) {
  switch (style) {
    case ToolStyle::hermes:
    case ToolStyle::generic:
      return {marker::kHermesOpen};
    case ToolStyle::llama3: {
      std::vector<std::string_view> starts(std::begin(kLlamaStarts), std::end(kLlamaStarts));
      starts.push_back(marker::kPythonTag);
      return starts;
    }
    case ToolStyle::mistral:
      return {marker::kMistralCalls};
    case ToolStyle::deepseek:
      return {marker::kDeepseekCalls, marker::kDeepseekCall};
    case ToolStyle::none:
      break;
  }
  return {};
}

CallHead read_call_head(ToolStyle style, std::string_view text) {
  Cursor cursor(text);
  if (style == ToolStyle::deepseek) return read_deepseek(cursor);
  auto opening = style == ToolStyle::mistral ? marker::kMistralCalls : marker::kHermesOpen;
  if (style == ToolStyle::llama3) opening = text.starts_with('{') ? "" : marker::kPythonTag;
  const auto scan = cursor.literal(opening);
  if (scan != Scan::ok) return stopped(scan);
  return style == ToolStyle::mistral ? read_mistral(cursor) : object_after(cursor, false);
}

CallHead read_next_object(std::string_view text, bool in_array) {
  Cursor cursor(text);
  return object_after(cursor, in_array);
}

ObjectTail read_object_tail(std::string_view text) {
  Cursor cursor(text);
  const auto stop = [](Scan scan) {
    return ObjectTail{.state = scan == Scan::more ? TailState::incomplete : TailState::malformed};
  };
  for (;;) {
    cursor.spaces();
    if (cursor.end()) return stop(Scan::more);
    if (cursor.literal("}") == Scan::ok) return {TailState::closed, cursor.at()};
    std::string key;
    std::string ignored;
    if (const auto scan = cursor.literal(","); scan != Scan::ok) return stop(scan);
    cursor.spaces();
    if (const auto scan = cursor.quoted(key); scan != Scan::ok) return stop(scan);
    if (key != "id" && key != "type") return stop(Scan::bad);
    cursor.spaces();
    if (const auto scan = cursor.literal(":"); scan != Scan::ok) return stop(scan);
    cursor.spaces();
    if (const auto scan = cursor.value(ignored); scan != Scan::ok) return stop(scan);
  }
}

bool is_tool_name(std::string_view name) {
  return !name.empty() && name.size() <= 64 && std::ranges::all_of(name, is_name_char);
}

}  // namespace hf::chat
