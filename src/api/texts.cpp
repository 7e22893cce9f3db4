#include "api/texts.hpp"

#include <array>
#include <cstdlib>

namespace hf::api {
namespace {

struct Sentence {
  TextId id;
  std::string_view english;
  std::string_view chinese;
};

// In the order of TextId, which is checked below.
constexpr auto kSentences = std::to_array<Sentence>({
    {TextId::unknown_path,
     "There is no endpoint {0} {1}. See GET /v1/models and the API reference for what there "
     "is.",
     "不存在接口 {0} {1}。可用接口见 API 文档，可先试 GET /v1/models。"},
    {TextId::wrong_method,
     "{0} does not take {1}; use {2}.",
     "{0} 不支持 {1} 方法，请使用 {2}。"},
    {TextId::body_empty,
     "The request body is empty; send a JSON object.",
     "请求体为空，请发送一个 JSON 对象。"},
    {TextId::body_not_object,
     "The request body must be a JSON object.",
     "请求体必须是一个 JSON 对象。"},
    {TextId::bad_json,
     "The request body is not valid JSON: {0} at line {1}, column {2}.",
     "请求体不是合法的 JSON：第 {1} 行第 {2} 列，{0}。"},
    {TextId::busy,
     "The server is busy; retry after {0} seconds.",
     "服务器繁忙，请在 {0} 秒后重试。"},
    {TextId::shutting_down,
     "The server is shutting down; retry in a minute.",
     "服务器正在关闭，请一分钟后重试。"},
    {TextId::key_missing,
     "You didn't provide an API key. Send it as the header 'Authorization: Bearer hf_...'; "
     "'holdfast key create' or POST /v1/setup makes one.",
     "未提供 API 密钥。请使用请求头 'Authorization: Bearer hf_...' 发送；可用 "
     "'holdfast key create' 或 POST /v1/setup 创建密钥。"},
    {TextId::key_unknown,
     "Incorrect API key provided; check it, or make a new one.",
     "API 密钥不正确，请检查或新建一个密钥。"},
    {TextId::key_expired,
     "This API key has expired; make a new one.",
     "此 API 密钥已过期，请新建一个密钥。"},
    {TextId::key_store_broken,
     "The server cannot read its API keys; its operator finds the reason in the log.",
     "服务器无法读取 API 密钥，原因见服务器日志，请联系管理员。"},
    {TextId::no_permission,
     "This API key lacks the permission '{0}'; ask the operator for a key that has it.",
     "此 API 密钥没有 '{0}' 权限，请向管理员申请。"},
    {TextId::priority_refused,
     "This API key may not use priority '{0}'; its highest is '{1}'.",
     "此 API 密钥不能使用优先级 '{0}'，最高可用 '{1}'。"},
    {TextId::setup_token_bad,
     "The setup token is wrong, used or older than 24 hours; restart the server to get a new "
     "one.",
     "初始化令牌错误、已使用或已超过 24 小时；请重启服务器以获取新令牌。"},
    {TextId::setup_done,
     "Setup is done already: there is an API key. Use it to make more.",
     "已完成初始化：已有 API 密钥，请用它创建更多密钥。"},
    {TextId::unknown_field,
     "Unrecognized request argument supplied: {0}",
     "无法识别的请求参数：{0}"},
    {TextId::missing_field,
     "You must provide the parameter '{0}'.",
     "必须提供参数 '{0}'。"},
    {TextId::not_supported,
     "The parameter '{0}' is not supported here; leave it out.",
     "此处不支持参数 '{0}'，请去掉它。"},
    {TextId::not_supported_value,
     "'{0}' supports only {1} here; leave it out or use that.",
     "此处 '{0}' 仅支持 {1}，请去掉或改用该值。"},
    {TextId::deprecated_field,
     "The parameter '{0}' is deprecated and not supported; use '{1}'.",
     "参数 '{0}' 已弃用且不受支持，请使用 '{1}'。"},
    {TextId::want_string,
     "'{0}' must be a string.",
     "'{0}' 必须是字符串。"},
    {TextId::want_number,
     "'{0}' must be a number.",
     "'{0}' 必须是数字。"},
    {TextId::want_integer,
     "'{0}' must be an integer.",
     "'{0}' 必须是整数。"},
    {TextId::want_boolean,
     "'{0}' must be true or false.",
     "'{0}' 必须是 true 或 false。"},
    {TextId::want_array,
     "'{0}' must be an array.",
     "'{0}' 必须是数组。"},
    {TextId::want_object,
     "'{0}' must be an object.",
     "'{0}' 必须是对象。"},
    {TextId::want_one_of,
     "'{0}' must be one of {1}.",
     "'{0}' 必须是以下之一：{1}。"},
    {TextId::want_string_or_list,
     "'{0}' must be a string, an array of strings, an array of token ids or an array of those.",
     "'{0}' 必须是字符串、字符串数组、token id 数组，或 token id 数组的数组。"},
    {TextId::out_of_range,
     "'{0}' is {1}, but must be from {2} to {3}.",
     "'{0}' 为 {1}，必须在 {2} 到 {3} 之间。"},
    {TextId::too_long_list,
     "'{0}' has {1} items; at most {2} are allowed.",
     "'{0}' 有 {1} 项，最多允许 {2} 项。"},
    {TextId::empty_list,
     "'{0}' is empty; give at least one item.",
     "'{0}' 为空，请至少提供一项。"},
    {TextId::too_long_text,
     "'{0}' has {1} bytes; at most {2} are allowed.",
     "'{0}' 有 {1} 字节，最多允许 {2} 字节。"},
    {TextId::empty_text,
     "'{0}' must not be empty.",
     "'{0}' 不能为空。"},
    {TextId::bad_name,
     "'{0}' must have 1 to 64 letters, digits, '_' or '-'.",
     "'{0}' 必须由 1 到 64 个字母、数字、'_' 或 '-' 组成。"},
    {TextId::bad_token_key,
     "'{0}' has the key '{1}', which is no token id; use ids such as \"1234\".",
     "'{0}' 的键 '{1}' 不是 token id，请使用形如 \"1234\" 的 id。"},
    {TextId::tool_choice_needs_tools,
     "'{0}' is only allowed together with 'tools'.",
     "'{0}' 只能与 'tools' 一起使用。"},
    {TextId::unknown_tool,
     "'{0}' names the function '{1}', which is not in 'tools'.",
     "'{0}' 指定的函数 '{1}' 不在 'tools' 中。"},
    {TextId::duplicate_tool,
     "'{0}' has the name '{1}' a second time; names must differ.",
     "'{0}' 的名称 '{1}' 重复，名称不能相同。"},
    {TextId::no_chat_template,
     "The model '{0}' has no chat template; use /v1/completions.",
     "模型 '{0}' 没有对话模板，请使用 /v1/completions。"},
    {TextId::top_logprobs_needs_logprobs,
     "'{0}' needs 'logprobs' set to true.",
     "使用 '{0}' 时必须将 'logprobs' 设为 true。"},
    {TextId::one_constraint,
     "'{0}' cannot be combined with '{1}'; constrain the output in one way only.",
     "'{0}' 不能与 '{1}' 同时使用，只能用一种方式约束输出。"},
    {TextId::tools_and_format,
     "'{0}' cannot be combined with 'tools' here; set 'tool_choice' to 'none' or leave one "
     "out.",
     "此处 '{0}' 不能与 'tools' 同时使用；请将 'tool_choice' 设为 'none' 或去掉其中之一。"},
    {TextId::echo_needs_text,
     "'{0}' works with text prompts only; send the prompt as a string.",
     "'{0}' 只能用于文本提示，请以字符串发送提示。"},
    {TextId::echo_no_logprobs,
     "'{0}' cannot be combined with 'logprobs' here.",
     "此处 '{0}' 不能与 'logprobs' 同时使用。"},
    {TextId::no_such_role,
     "'{0}' is '{1}', but must be one of system, developer, user, assistant, tool.",
     "'{0}' 为 '{1}'，必须是 system、developer、user、assistant、tool 之一。"},
    {TextId::only_text_parts,
     "'{0}' is a part of type '{1}', which is not supported; send text parts.",
     "'{0}' 是 '{1}' 类型的内容，不受支持，请发送文本内容。"},
    {TextId::media_part,
     "'{0}' is a part of type '{1}'; the models here read text only. Leave out images, audio "
     "and files.",
     "'{0}' 是 '{1}' 类型的内容；这里的模型只接受文本，请去掉图片、音频和文件。"},
    {TextId::message_needs_content,
     "'{0}' is missing; a message of this role needs content.",
     "缺少 '{0}'；该角色的消息必须有内容。"},
    {TextId::last_user_message,
     "'{0}' needs at least one message.",
     "'{0}' 至少需要一条消息。"},
    {TextId::model_missing,
     "You must provide the parameter 'model'. There is: {0}.",
     "必须提供参数 'model'。可用模型：{0}。"},
    {TextId::no_embeddings,
     "The model '{0}' makes no embeddings; choose an embedding model.",
     "模型 '{0}' 不提供嵌入向量，请选择嵌入模型。"},
    {TextId::no_rerank,
     "The model '{0}' cannot rerank; choose a rerank model.",
     "模型 '{0}' 不支持重排序，请选择重排序模型。"},
    {TextId::no_generation,
     "The model '{0}' does not generate text; choose a chat model.",
     "模型 '{0}' 不能生成文本，请选择对话模型。"},
    {TextId::wrong_dimensions,
     "'{0}' is {1}, but this model's embeddings have {2} dimensions, which cannot be changed.",
     "'{0}' 为 {1}，但该模型的向量维度固定为 {2}，不能更改。"},
    {TextId::schema_missing,
     "'{0}' is missing; give the JSON schema.",
     "缺少 '{0}'，请给出 JSON schema。"},
    {TextId::unknown_item,
     "'{0}' is '{1}', which is not supported here.",
     "'{0}' 为 '{1}'，此处不支持。"},
    {TextId::stream_options_need_stream,
     "'{0}' is only allowed when 'stream' is true.",
     "'{0}' 只能在 'stream' 为 true 时使用。"},
    {TextId::cannot_store,
     "'{0}' is not supported: answers are not stored here. Send the whole conversation in "
     "'input'.",
     "不支持 '{0}'：此处不保存回答，请在 'input' 中发送完整对话。"},
    {TextId::not_both,
     "'{0}' and '{1}' cannot both be set; keep one.",
     "'{0}' 与 '{1}' 不能同时设置，请只保留一个。"},
    {TextId::too_slow,
     "No answer was ready within the time allowed; retry later, or send a smaller request.",
     "在限定时间内未能生成回答；请稍后重试，或缩小请求。"},
    {TextId::kwargs_conflict,
     "'{0}' must not set '{1}'; use the parameter for it.",
     "'{0}' 不能设置 '{1}'，请使用对应的参数。"},
});

constexpr bool in_order() {
  for (std::size_t i = 0; i < kSentences.size(); ++i) {
    if (static_cast<std::size_t>(kSentences[i].id) != i) return false;
  }
  return kSentences.back().id == kLastText;
}
static_assert(in_order());

double quality(std::string_view item) {
  const auto at = item.find(";q=");
  if (at == std::string_view::npos) return 1;
  return std::strtod(std::string(item.substr(at + 3)).c_str(), nullptr);
}

}  // namespace

std::string_view pattern(Language language, TextId id) {
  const auto& found = kSentences[static_cast<std::size_t>(id)];
  return language == Language::chinese ? found.chinese : found.english;
}

std::string_view trouble_text(Language language, JsonTrouble trouble) {
  const bool zh = language == Language::chinese;
  switch (trouble) {
    case JsonTrouble::not_utf8: return zh ? "字节不是合法的 UTF-8" : "a byte is not valid UTF-8";
    case JsonTrouble::unexpected: return zh ? "出现意外字符" : "unexpected character";
    case JsonTrouble::ended: return zh ? "文本意外结束" : "the text ends too early";
    case JsonTrouble::too_deep: return zh ? "嵌套过深" : "values are nested too deep";
    case JsonTrouble::too_many: return zh ? "值过多" : "there are too many values";
    case JsonTrouble::bad_escape: return zh ? "转义序列有误" : "bad escape sequence";
    case JsonTrouble::raw_control:
      return zh ? "字符串中的控制字符必须转义" : "a control character in a string must be escaped";
    case JsonTrouble::bad_number: return zh ? "数字有误" : "bad number";
    case JsonTrouble::duplicate_key: return zh ? "键重复" : "a key appears twice";
    case JsonTrouble::trailing: return zh ? "值后有多余文本" : "there is text after the value";
  }
  return {};
}

Language preferred_language(std::string_view accept_language) {
  auto preferred = Language::english;
  double best = 0;
  while (!accept_language.empty()) {
    const auto comma = accept_language.find(',');
    auto item = accept_language.substr(0, comma);
    accept_language.remove_prefix(comma == std::string_view::npos ? accept_language.size() : comma + 1);
    while (item.starts_with(' ')) item.remove_prefix(1);
    const bool chinese = item.starts_with("zh");
    if ((!chinese && !item.starts_with("en")) || quality(item) <= best) continue;
    best = quality(item);
    preferred = chinese ? Language::chinese : Language::english;
  }
  return preferred;
}

}  // namespace hf::api
