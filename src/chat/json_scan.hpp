#pragma once
// Reads JSON (RFC 8259) a byte at a time, so that a tool call's arguments can be passed on while
// they come in. Pure; one thread.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace hf::chat {

/// Follows one JSON value. Lenient in one point: raw control characters inside strings are let pass
/// (models write them); `json_safe` turns them into escapes.
class JsonScanner {
 public:
  enum class Step : std::uint8_t {
    more,    ///< Taken; the value goes on.
    done,    ///< Taken; the value is complete (objects, arrays, strings, true, false, null).
    before,  ///< Not taken: a number has ended before this byte.
    broken,  ///< Not taken: this is no JSON.
  };
  Step push(char c);
  [[nodiscard]] bool in_string() const { return state_ == State::string; }

 private:
  enum class State : std::uint8_t {
    value,
    first_item,
    first_key,
    key,
    colon,
    after_item,
    string,
    escape,
    unicode,
    word,
    minus,
    zero,
    digits,
    point,
    fraction,
    exponent,
    exponent_sign,
    exponent_digits,
    finished,
  };
  Step begin_value(char c);
  Step end_value();
  Step open(bool object, State next);
  Step close(bool object);
  Step in_structure(char c);
  Step in_text(char c);
  Step in_word(char c);
  Step in_number(char c);

  State state_ = State::value;
  bool key_string_ = false;
  std::uint8_t unicode_left_ = 0;
  std::string_view word_left_ = {};
  std::vector<bool> objects_ = {};  // One per open bracket; true: '{'. At most kJsonDepthMax.
};

inline constexpr std::size_t kJsonDepthMax = 256;

/// True if brackets in this JSON text nest no deeper than kJsonDepthMax. Cost: one pass.
bool json_depth_ok(std::string_view text);
/// True if the whole text is one JSON object, white space around it allowed.
bool is_json_object(std::string_view text);
/// `c`, or its escape if it is a control character inside a string.
void append_json_safe(std::string& out, char c, bool in_string);
/// The text of a JSON string given with its quotes; nothing if it has a broken escape.
std::optional<std::string> json_string_text(std::string_view quoted);
/// Adds quotes and escapes.
std::string json_quoted(std::string_view text);

inline bool is_json_space(char c) {
  return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

}  // namespace hf::chat
