#include <algorithm>
#include <format>

#include <minja/minja.hpp>

#include "chat/chat_template.hpp"
#include "chat/messages.hpp"
#include "chat/output_parser.hpp"
#include "chat/template_check.hpp"

namespace hf::chat {
namespace {

// What raise_exception says. No std::exception on purpose: the engine would catch it and add text.
struct Refusal {
  std::string words;
};

constexpr std::size_t kWordsMax = 400;

std::string shortened(std::string text) {
  if (text.size() > kWordsMax) {
    text.resize(kWordsMax);
    while (!text.empty() && (static_cast<unsigned char>(text.back()) & 0x80U) != 0) text.pop_back();
    text += "...";
  }
  return text;
}

// The engine's message without the values it quotes (they may be prompt text), with the place.
std::string engine_words(const std::string& what) {
  const auto place = what.find(" at row ");
  auto text = what.substr(0, std::min(what.find(':'), place));
  if (place != std::string::npos) text += what.substr(place, what.find(':', place) - place);
  return shortened(std::move(text));
}

std::unexpected<Error> out_of_memory() {
  return fail(
      Errc::failed_precondition,
      "The model's chat template needs more memory than it may have; give the model another "
      "template.");
}

minja::Value raise_exception(const std::shared_ptr<minja::Context>&, minja::ArgumentsValue& args) {
  std::string words;
  if (!args.args.empty() && args.args[0].is_string()) words = args.args[0].get<std::string>();
  throw Refusal{shortened(std::move(words))};
}

minja::Value strftime_now(const std::shared_ptr<minja::Context>&, minja::ArgumentsValue& args) {
  args.expectArgs("strftime_now", {1, 1}, {0, 0});
  const auto now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  std::tm parts = {};
  localtime_r(&now, &parts);
  char text[200] = {};
  std::strftime(text, sizeof text, args.args[0].get<std::string>().c_str(), &parts);
  return minja::Value(std::string(text));
}

class MinjaRenderer final : public TemplateRenderer {
 public:
  MinjaRenderer(std::string bos_text, std::string eos_text)
      : bos_text_(std::move(bos_text)), eos_text_(std::move(eos_text)) {}

  Result<void> parse(const std::string& source) {
    const auto checked = HF_TRY(checked_template(source));
    try {
      root_ = minja::Parser::parse(
          checked, {.trim_blocks = true, .lstrip_blocks = true, .keep_trailing_newline = false});
    } catch (const std::exception& error) {
      return fail(Errc::invalid_argument,
                  "The model's chat template cannot be read: " + engine_words(error.what()) + ".");
    }
    style_ = detect_style(source).tools;
    find_traits(source);
    return {};
  }

  Result<std::string> render(const RenderRequest& request) override {
    try {
      return shape_and_render(request);
    } catch (const Json::exception& error) {
      return fail(Errc::invalid_argument, "messages or tools do not have the expected form.",
                  std::format("JSON exception {}", error.id));
    } catch (const std::bad_alloc&) {
      return out_of_memory();
    }
  }

 private:
  Result<std::string> shape_and_render(const RenderRequest& request) {
    auto messages = HF_TRY(read_messages(request.messages_json));
    auto tools = HF_TRY(read_tools(request.tools_json));
    const auto extra = HF_TRY(read_extra(request.template_args_json));
    const bool untold = style_ == ToolStyle::hermes && !traits_.tools;
    if (style_ == ToolStyle::generic || untold) {
      messages = HF_TRY(tools_in_prompt(std::move(messages), tools));
      tools = Json();
    }
    HF_TRY_VOID(shape_messages(messages, traits_));
    try {
      return apply(messages, tools, extra, request.add_generation_prompt);
    } catch (const Refusal& refusal) {
      return fail(Errc::invalid_argument,
                  "The model's chat template refuses these messages: " + refusal.words, {});
    } catch (const std::exception& error) {
      const std::string what = error.what();
      if (what.contains("bad_alloc")) return out_of_memory();
      return fail(Errc::invalid_argument,
                  "The model's chat template cannot render these messages; check their roles and "
                  "order.",
                  engine_words(what));
    }
  }

  static Result<Json> read_extra(const std::string& text) {
    if (text.empty()) return Json::object();
    auto extra = HF_TRY(parse_json(text, "chat_template_kwargs"));
    if (extra.is_null()) return Json::object();
    if (!extra.is_object()) {
      return fail_at("chat_template_kwargs", "chat_template_kwargs must be an object.");
    }
    for (const auto* name : {"messages", "tools", "add_generation_prompt", "bos_token", "eos_token",
                             "raise_exception", "strftime_now"}) {
      if (extra.contains(name)) {
        return fail_at("chat_template_kwargs",
                       std::format("chat_template_kwargs may not set '{}'.", name));
      }
    }
    return extra;
  }

  [[nodiscard]] std::string apply(const Json& messages, const Json& tools, const Json& extra,
                                  bool add_generation_prompt) const {
    const auto context = minja::Context::make(minja::Value(
        Json{{"messages", messages}, {"add_generation_prompt", add_generation_prompt}}));
    context->set("bos_token", bos_text_);
    context->set("eos_token", eos_text_);
    context->set("strftime_now", minja::Value::callable(strftime_now));
    context->set("raise_exception", minja::Value::callable(raise_exception));
    if (!tools.is_null()) context->set("tools", minja::Value(tools));
    for (const auto& [key, value] : extra.items()) context->set(key, minja::Value(value));
    return root_->render(context);
  }

  // Empty if the template refuses.
  [[nodiscard]] std::string probe(const Json& messages, const Json& tools = Json()) const {
    try {
      return apply(messages, tools, Json::object(), false);
    } catch (const std::bad_alloc&) {
      throw;
    } catch (const std::exception&) {
      return {};
    } catch (const Refusal&) {
      return {};
    }
  }

  void find_traits(const std::string& source) {
    const Json user = {{"role", "user"}, {"content", "user-needle"}};
    const Json parts = Json::array({{{"type", "text"}, {"text", "user-needle"}}});
    const Json typed = {{"role", "user"}, {"content", parts}};
    traits_.developer_role = source.contains("developer");
    traits_.short_call_ids = style_ == ToolStyle::mistral;
    traits_.typed_content = !probe(Json::array({user})).contains("user-needle") &&
                            probe(Json::array({typed})).contains("user-needle");
    const auto& asks = traits_.typed_content ? typed : user;
    Json system = {{"role", "system"}, {"content", "system-needle"}};
    if (traits_.typed_content) {
      system["content"] = Json::array({{{"type", "text"}, {"text", "system-needle"}}});
    }
    traits_.system_role = probe(Json::array({system, asks})).contains("system-needle");
    const Json tools = Json::parse(R"([{"type": "function", "function": {"name": "tool-needle",
        "description": "A tool.", "parameters": {"type": "object", "properties": {
        "city": {"type": "string", "description": "A city."}}, "required": ["city"]}}}])");
    traits_.tools = probe(Json::array({asks}), tools).contains("tool-needle");
    const auto answers = [&](const Json& content) {
      return probe(Json::array({asks, {{"role", "assistant"}, {"content", content}}}));
    };
    traits_.non_null_content =
        answers("").contains("user-needle") && !answers(Json()).contains("user-needle");
    find_argument_form(asks);
  }

  void find_argument_form(const Json& asks) {
    const auto shown = [&](const Json& arguments) {
      const Json call = {{"id", "abcdefghi"},
                         {"type", "function"},
                         {"function", {{"name", "tool_needle"}, {"arguments", arguments}}}};
      const Json content = traits_.non_null_content ? Json("") : Json();
      const auto text = probe(Json::array(
          {asks,
           {{"role", "assistant"}, {"content", content}, {"tool_calls", Json::array({call})}}}));
      // Quoted as in JSON or Python, or as a tag; a string quoted twice has backslashes there.
      return text.contains("\"city-needle\":") || text.contains("'city-needle':") ||
             text.contains("=city-needle>");
    };
    const Json arguments = {{"city-needle", "Oslo"}};
    traits_.object_arguments = !shown(arguments.dump()) && shown(arguments);
  }

  std::string bos_text_;
  std::string eos_text_;
  std::shared_ptr<minja::TemplateNode> root_ = {};
  ToolStyle style_ = ToolStyle::none;
  TemplateTraits traits_ = {};
};

}  // namespace

Result<std::unique_ptr<TemplateRenderer>> TemplateRenderer::open(const std::string& source,
                                                                 const std::string& bos_text,
                                                                 const std::string& eos_text) {
  try {
    auto renderer = std::make_unique<MinjaRenderer>(bos_text, eos_text);
    HF_TRY_VOID(renderer->parse(source));
    return renderer;
  } catch (const std::bad_alloc&) {
    return out_of_memory();
  }
}

}  // namespace hf::chat
