#include <optional>

#include "api/json_writer.hpp"
#include "api/message_fields.hpp"
#include "api/responses_request.hpp"

namespace hf::api {
namespace {

constexpr std::size_t kQuotedMax = 64;

class InputReader {
 public:
  explicit InputReader(Fields& fields) : fields_(fields), json_(out_) {}

  std::string read() {
    json_.open_array();
    if (const auto instructions = fields_.take("instructions", JsonKind::string)) {
      write_text("system", instructions);
    }
    fields_.require("input");
    const auto input = fields_.take("input");
    if (input.is(JsonKind::string)) {
      write_text("user", input);
    } else if (input.is(JsonKind::array)) {
      read_items(input);
    } else if (fields_.good()) {
      fields_.fail("input", TextId::want_array);
    }
    json_.close_array();
    return std::move(out_);
  }

 private:
  // The assistant's turn that is being gathered.
  struct Turn {
    Json content = {};
    std::string reasoning = {};
    std::string calls = {};  // JSON objects with commas.
  };

  void write_text(std::string_view role, Json content) {
    json_.open_object().member("role", role).member_raw("content", content.raw()).close_object();
  }

  void read_items(Json items) {
    if (items.size() == 0) return fields_.fail("input", TextId::last_user_message);
    std::size_t index = 0;
    for (const auto item : items) {
      Fields inner(item, item_path("input", index++), fields_.language());
      read_item(inner);
      fields_.merge(inner);
      if (!fields_.good()) return;
    }
    end_turn();
  }

  void read_item(Fields& item) {
    item.accept({"id", "status"});
    const auto named = item.take("type", JsonKind::string);
    if (!item.good()) return;
    const auto type = named ? named.text() : std::string_view("message");
    if (type == "message") return read_message(item);
    if (type == "function_call") return read_call(item);
    if (type == "function_call_output") return read_output(item);
    if (type == "reasoning") return read_reasoning(item);
    if (type == "item_reference") return item.fail("", TextId::cannot_store);
    item.fail("type", TextId::unknown_item, type.substr(0, kQuotedMax));
  }

  void read_message(Fields& item) {
    item.accept({"phase"});
    item.require("role");
    const auto role = item.word("role", {"user", "assistant", "system", "developer"});
    item.require("content");
    const auto content = item.take("content");
    if (!item.good()) return;
    if (content.is(JsonKind::array)) {
      check_parts(item, "content", content);
    } else if (!content.is(JsonKind::string)) {
      return item.fail("content", TextId::want_string);
    }
    if (role != "assistant") {
      end_turn();
      return write_text(*role, content);
    }
    if (turn_.content || !turn_.calls.empty()) end_turn();
    turn_.content = content;
  }

  void read_call(Fields& item) {
    for (const auto* name : {"call_id", "name", "arguments"}) item.require(name);
    const auto id = item.take("call_id", JsonKind::string);
    const auto name = item.take("name", JsonKind::string);
    const auto arguments = item.take("arguments", JsonKind::string);
    if (!item.good()) return;
    if (!turn_.calls.empty()) turn_.calls.push_back(',');
    JsonWriter call(turn_.calls);
    call.open_object().member_raw("id", id.raw()).member("type", "function");
    call.key("function").open_object().member_raw("name", name.raw());
    call.member_raw("arguments", arguments.raw()).close_object().close_object();
  }

  void read_output(Fields& item) {
    item.require("call_id");
    item.require("output");
    const auto id = item.take("call_id", JsonKind::string);
    const auto output = item.take("output");
    if (!item.good()) return;
    if (output.is(JsonKind::array)) {
      check_parts(item, "output", output);
    } else if (!output.is(JsonKind::string)) {
      return item.fail("output", TextId::want_string);
    }
    end_turn();
    json_.open_object().member("role", "tool").member_raw("tool_call_id", id.raw());
    json_.member_raw("content", output.raw()).close_object();
  }

  // The text itself, or else its summary; encrypted content is not ours and says nothing here.
  void read_reasoning(Fields& item) {
    item.accept({"encrypted_content"});
    const auto content = item.take("content", JsonKind::array);
    const auto summary = item.take("summary", JsonKind::array);
    if (!item.good()) return;
    if (turn_.content || !turn_.calls.empty()) end_turn();
    for (const auto part : content&& content.size() > 0 ? content : summary) {
      if (const auto text = part["text"]; text.is(JsonKind::string)) turn_.reasoning += text.text();
    }
  }

  void end_turn() {
    const auto turn = std::exchange(turn_, {});
    if (!turn.content && turn.calls.empty()) return;
    json_.open_object().member("role", "assistant");
    json_.member_raw("content", turn.content ? turn.content.raw() : "null");
    if (!turn.reasoning.empty()) json_.member("reasoning_content", turn.reasoning);
    if (!turn.calls.empty()) json_.member_raw("tool_calls", "[" + turn.calls + "]");
    json_.close_object();
  }

  Fields& fields_;
  std::string out_ = {};
  JsonWriter json_;
  Turn turn_ = {};
};

}  // namespace

std::string read_input(Fields& fields) {
  return InputReader(fields).read();
}

}  // namespace hf::api
