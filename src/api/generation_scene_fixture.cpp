#include <charconv>

#include "api/generation_scene.hpp"
#include "api/key_store.hpp"

namespace hf::api::test {
namespace {

class NoKeys final : public KeyStore {
 public:
  Result<CreatedKey> create(const NewKey&) override { return none(); }
  [[nodiscard]] std::vector<KeyRecord> list() override { return {}; }
  Result<void> revoke(std::string_view) override { return none(); }
  Checked<KeyRecord> check(std::string_view) override {
    return std::unexpected(Fault({Errc::unauthenticated, "There are no keys."}));
  }
  Result<std::optional<std::string>> setup_token() override { return std::nullopt; }
  Result<std::optional<std::string>> renew_setup_token() override { return std::nullopt; }
  Result<CreatedKey> claim(std::string_view, std::string_view) override { return none(); }
  Result<void> later(std::move_only_function<void()> work) override {
    work();
    return {};
  }

 private:
  static std::unexpected<Error> none() { return fail(Errc::unimplemented, "There are no keys."); }
};

class ScriptedGeneration final : public inference::Generation {
 public:
  explicit ScriptedGeneration(ScriptedInference::Asked& asked) : asked_(asked) {}
  ~ScriptedGeneration() override { asked_.dropped = true; }
  void cancel() override { asked_.cancelled = true; }

 private:
  ScriptedInference::Asked& asked_;
};

void tell(inference::GenerationListener& listener, const Event& event) {
  struct Teller {
    inference::GenerationListener& to;
    void operator()(const wire::Started& happened) const { to.on_started(happened); }
    void operator()(const wire::Delta& happened) const { to.on_delta(happened); }
    void operator()(const wire::ChoiceDone& happened) const { to.on_choice_done(happened); }
    void operator()(const wire::Done& happened) const { to.on_done(happened); }
    void operator()(const Error& happened) const { to.on_failed(happened); }
  };
  std::visit(Teller{listener}, event);
}

Json find(Json value, std::string_view path) {
  while (!path.empty() && value) {
    const auto dot = path.find('.');
    const auto step = path.substr(0, dot);
    path = dot == std::string_view::npos ? std::string_view() : path.substr(dot + 1);
    if (value.is(JsonKind::object)) {
      value = value[step];
      continue;
    }
    std::size_t index = 0;
    std::from_chars(step.data(), step.data() + step.size(), index);
    Json found;
    if (value.is(JsonKind::array)) {
      for (const auto item : value) {
        if (index-- == 0) {
          found = item;
          break;
        }
      }
    }
    value = found;
  }
  return value;
}

}  // namespace

Script says(const std::vector<std::string>& texts, wire::FinishReason reason) {
  Script script = {wire::Started{.prompt_tokens = 5, .cached_tokens = 2}};
  wire::Token token = 100;
  for (const auto& text : texts) {
    script.emplace_back(wire::Delta{.tokens = {token++}, .text = text});
  }
  const auto tokens = static_cast<std::uint32_t>(texts.size());
  script.emplace_back(wire::ChoiceDone{.reason = reason, .completion_tokens = tokens});
  script.emplace_back(
      wire::Done{.prompt_tokens = 5, .cached_tokens = 2, .completion_tokens = tokens});
  return script;
}

ScriptedInference::ScriptedInference() {
  inference::ModelStatus status;
  status.name = "m";
  status.state = inference::ModelState::ready;
  status.ready.generates = 1;
  status.ready.chat_template = "{{ messages }} {{ tools }} <tool_call>";
  known.push_back(std::move(status));
}

// A run may hold generations of several listeners: all must be there until the last listener goes.
ScriptedInference::~ScriptedInference() {
  for (const auto& one : asked) one->listener = nullptr;
}

void ScriptedInference::play(const Script& script, std::size_t index) {
  auto& to = *asked.at(index);
  for (const auto& event : script) {
    if (!to.listener) return;
    const auto listener = to.listener;
    tell(*listener, event);
    const bool last =
        std::holds_alternative<wire::Done>(event) || std::holds_alternative<Error>(event);
    if (last) to.listener = nullptr;
  }
}

Result<inference::ModelStatus> ScriptedInference::model(std::string_view name) const {
  for (const auto& status : known) {
    if (status.name == name) return status;
  }
  return fail(Errc::not_found, "There is no such model. There is: m.");
}

void ScriptedInference::when_ready(std::string_view /*name*/,
                                   inference::Reply<inference::ModelStatus> reply) {
  waiting.push_back(std::move(reply));
}

Result<std::unique_ptr<inference::Generation>> ScriptedInference::generate(
    std::string_view model, wire::Generate request,
    std::shared_ptr<inference::GenerationListener> listener) {
  if (refusal) return std::unexpected(*refusal);
  asked.push_back(std::make_unique<Asked>(
      Asked{std::string(model), std::move(request), std::move(listener), false, false}));
  if (!at_once.empty()) play(at_once, asked.size() - 1);
  return std::make_unique<ScriptedGeneration>(*asked.back());
}

void ScriptedInference::tokenize(std::string_view /*model*/, wire::Tokenize /*request*/,
                                 inference::Reply<wire::Tokens> reply) {
  reply(wire::Tokens{.text = rendered});
}

SinkState CollectingSink::start_stream(int status, std::string content_type, Headers headers) {
  stream = HttpResponse{
      .status = status, .content_type = std::move(content_type), .headers = std::move(headers)};
  return state;
}

SinkState CollectingSink::write(std::string bytes) {
  if (state == SinkState::open) {
    stream->body += bytes;
    writes.push_back(std::move(bytes));
  }
  return state;
}

std::vector<std::string> CollectingSink::events() const {
  constexpr std::string_view kData = "data: ";
  std::vector<std::string> found;
  std::string_view rest = stream ? std::string_view(stream->body) : std::string_view();
  while (!rest.empty()) {
    const auto end = rest.find('\n');
    const auto line = rest.substr(0, end);
    if (line.starts_with(kData)) found.emplace_back(line.substr(kData.size()));
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
  }
  return found;
}

struct Scene::Parts {
  NoKeys keys;
  Metrics metrics;
};

Scene::Scene() : parts_(std::make_unique<Parts>()) {
  service = std::make_shared<Service>(
      Service{.models = models, .keys = parts_->keys, .metrics = parts_->metrics});
}

Scene::~Scene() = default;

std::shared_ptr<CollectingSink> Scene::send(Endpoint endpoint, std::string body,
                                            Language language) {
  auto sink = std::make_shared<CollectingSink>();
  Call call{.request = {}, .sink = sink, .language = language, .caller = caller};
  call.request.body = std::move(body);
  call.request.id = "r1";
  endpoint(service, std::move(call));
  return sink;
}

std::string at(std::string_view json, std::string_view path) {
  const auto document = JsonDocument::parse(std::string(json));
  if (!document) return "(not JSON)";
  const auto value = find(document->root(), path);
  if (!value) return "(none)";
  return std::string(value.is(JsonKind::string) ? value.text() : value.raw());
}

std::string joined(const CollectingSink& sink, std::string_view path) {
  std::string whole;
  for (const auto& event : sink.events()) {
    const auto part = at(event, path);
    if (part != "(none)" && part != "(not JSON)" && part != "null") whole += part;
  }
  return whole;
}

}  // namespace hf::api::test
