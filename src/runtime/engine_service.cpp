#include "runtime/engine_service.hpp"

#include <algorithm>
#include <atomic>
#include <deque>
#include <format>
#include <optional>
#include <thread>

#include <pthread.h>

#include "base/bounded_queue.hpp"
#include "base/log.hpp"
#include "chat/output_parser.hpp"
#include "runtime/compute_threads.hpp"
#include "runtime/engine_adapters.hpp"
#include "runtime/engine_embedding.hpp"
#include "runtime/engine_preparing.hpp"
#include "runtime/engine_warmup.hpp"

namespace hf::runtime {
namespace {

constexpr auto kStatsEvery = std::chrono::seconds(1);
constexpr std::size_t kInboxMax = 65'536;

void name_thread(const char* name) {
  pthread_setname_np(pthread_self(), name);
}

std::uint64_t resident_bytes() {
  std::uint64_t total = 0;
  std::uint64_t resident = 0;
  if (auto* file = std::fopen("/proc/self/statm", "re"); file != nullptr) {
    if (std::fscanf(file, "%lu %lu", &total, &resident) != 2) resident = 0;
    std::fclose(file);
  }
  return resident * 4096;
}

class Engine {
 public:
  Engine(wire::Channel& channel, EngineOptions options)
      : channel_(channel), options_(std::move(options)), inbox_(kInboxMax) {}

  Result<void> run() {
    std::thread computing([this] {
      name_thread("engine");
      outcome_ = compute();
      inbox_.close();
      channel_.shut_down();
    });
    read();
    inbox_.close();
    computing.join();
    return outcome_;
  }

 private:
  // ---- reader thread ----------------------------------------------------------------------
  void read() {
    name_thread("reader");
    for (;;) {
      auto message = channel_.receive_to_engine();
      if (!message) return;
      if (const auto* ping = std::get_if<wire::Ping>(&*message)) {
        (void)channel_.send(wire::ToServer(wire::Ack{ping->id}));
      } else if (const auto refused = inbox_.push(InboxItem{std::move(*message)}); !refused) {
        if (refused.error().code == Errc::cancelled) return;
        log::warn("The engine's inbox is full; a message was dropped");
      }
    }
  }

  // ---- engine thread ----------------------------------------------------------------------
  Result<void> compute() {
    const auto started = clock_.now();
    auto loaded = LlamaModel::load(options_.model, [this](float fraction) {
      (void)channel_.send(wire::ToServer(wire::LoadProgress{fraction, "weights"}));
    });
    if (!loaded) return refuse(loaded.error());
    model_ = std::move(*loaded);
    if (auto set_up = make_parts(); !set_up) return refuse(set_up.error());
    auto costs = warm_up();
    if (!costs) return refuse(costs.error());
    auto ready = describe();
    ready.load_seconds = to_ms(clock_.now() - started) / 1000;
    HF_TRY_VOID(channel_.send(wire::ToServer(ready)));
    log::info("{} ready in {:.1f} s: {} cells, {} threads, waiting {}", options_.name,
              ready.load_seconds, ready.cells_total, ready.threads, ready.wait_policy);
    return loop();
  }

  Result<void> refuse(const Error& error) {
    (void)channel_.send(wire::ToServer(wire::LoadFailed{error.code, error.message}));
    return std::unexpected(error);
  }

  Result<void> make_parts() {
    const auto& facts = model_->facts();
    const auto& tokenizer = model_->tokenizer();
    auto* runner = facts.generates ? model_->runner() : nullptr;
    if (facts.generates && runner == nullptr) {
      return fail(Errc::resource_exhausted,
                  "The model's context could not be made; lower the number of KV cells.");
    }
    embedding_ =
        std::make_unique<EmbeddingQueue>(*model_, options_.embed_step_tokens,
                                         [this](wire::ToServer event) { emit(std::move(event)); });
    std::uint32_t tokens_max = 1U << 30U;
    if (runner != nullptr) {
      tokens_max = request_tokens_max(runner->facts());
      options_.scheduler.request_tokens_max = tokens_max;
      const auto markers = chat::output_markers(chat::detect_style(facts.chat_template));
      texts_ = std::make_unique<TokenTexts>(tokenizer, markers);
      tokens_ = std::make_unique<grammar::TokenTable>(texts_->table());
      scheduler_ =
          std::make_unique<Scheduler>(*runner, *texts_, *tokens_, options_.scheduler, clock_,
                                      [this](wire::ToServer event) { emit(std::move(event)); });
      adapters_ = std::make_unique<AdapterShelf>(*runner, *scheduler_);
      for (const auto& [name, path] : options_.adapters) {
        HF_TRY_VOID(adapters_->load(name, path, 1.0F));
      }
    } else if (auto* embedder = facts.embeds ? model_->embedder() : model_->reranker()) {
      tokens_max = embedder->tokens_max();
    }
    if (!facts.chat_template.empty()) {
      auto renderer = chat::FencedRenderer::open(options_.render_program, options_.render_arguments,
                                                 facts.chat_template, facts.bos_text,
                                                 facts.eos_text, options_.fence);
      if (renderer) {
        renderer_ = std::move(*renderer);
      } else {
        log::failure("The chat template is not usable", renderer.error());
      }
    }
    preparing_ = std::make_unique<PreparingPool>(
        tokenizer, renderer_.get(), facts.bos_text, tokens_max, options_,
        [this](PreparedWork work) { (void)inbox_.push(InboxItem{std::move(work)}); },
        [this](const wire::ToServer& event) { (void)channel_.send(event); });
    return {};
  }

  [[nodiscard]] std::uint32_t request_tokens_max(const RunnerFacts& facts) const {
    const auto trained =
        facts.context_train_tokens == 0 ? facts.cells_total : facts.context_train_tokens;
    const auto limit = std::min(trained, facts.cells_total);
    const auto wanted = options_.scheduler.request_tokens_max;
    return wanted == 0 ? limit : std::min(wanted, limit);
  }

  Result<void> warm_up() {
    if (scheduler_ == nullptr || options_.warm_up <= Duration::zero()) return {};
    (void)channel_.send(wire::ToServer(wire::LoadProgress{1, "warm-up"}));
    auto warmed = HF_TRY(warm_up_model(*model_, options_.model.threads, options_.warm_up));
    threads_ = warmed.threads;
    for (const auto& [rows, ms] : warmed.costs) {
      log::debug("A step of {} rows takes {:.2f} ms", rows, ms);
    }
    if (threads_.prefill > 1 && !team_in_use()) {
      log::warn("ggml does not run on this program's threads; other work on the machine will slow it down");
    }
    scheduler_->set_costs(std::move(warmed.costs));
    return {};
  }

  wire::Ready describe() {
    const auto& facts = model_->facts();
    wire::Ready ready;
    ready.description = facts.description;
    ready.architecture = facts.architecture;
    ready.parameters = facts.parameters;
    ready.weight_bytes = facts.weight_bytes;
    ready.chat_template = renderer_ ? facts.chat_template : std::string();
    ready.bos_text = facts.bos_text;
    ready.eos_text = facts.eos_text;
    ready.generates = facts.generates ? 1 : 0;
    ready.embeds = facts.embeds ? 1 : 0;
    ready.reranks = facts.reranks ? 1 : 0;
    ready.devices = facts.devices;
    ready.vocabulary = model_->tokenizer().vocabulary();
    ready.threads = threads_.decode;
    ready.wait_policy = std::string(to_string(threads_.policy));
    if (facts.embeds) {
      if (auto* embedder = model_->embedder()) ready.embedding_width = embedder->width();
    }
    if (scheduler_ != nullptr) {
      const auto& runner = model_->runner()->facts();
      ready.context_train_tokens = runner.context_train_tokens;
      ready.request_tokens_max = options_.scheduler.request_tokens_max;
      ready.cells_total = runner.cells_total;
    }
    return ready;
  }

  Result<void> loop() {
    for (;;) {
      const bool idle = (scheduler_ == nullptr || scheduler_->idle()) && embedding_->empty();
      if (idle) flush();
      if (!take_messages(idle)) return {};
      if (shutdown_at_ && (idle || shutdown_at_->passed(clock_.now()))) return end();
      if (scheduler_ != nullptr && !scheduler_->idle()) HF_TRY(scheduler_->step());
      embedding_->step(scheduler_ != nullptr && !scheduler_->idle());
      flush();
      send_stats();
    }
  }

  Result<void> end() {
    if (scheduler_ != nullptr) {
      scheduler_->fail_all(Error{Errc::unavailable, "The model is being unloaded; try again."});
    }
    flush();
    return {};
  }

  // False once the server is gone.
  bool take_messages(bool wait) {
    auto item = wait ? inbox_.pop_for(kStatsEvery) : inbox_.try_pop();
    for (; item; item = inbox_.try_pop()) {
      if (auto* message = std::get_if<wire::ToEngine>(&*item)) {
        std::visit([this](auto& m) { on(m); }, *message);
      } else {
        on_prepared(std::move(std::get<PreparedWork>(*item)));
      }
    }
    if (wait) send_stats();
    return !inbox_.closed();
  }

  void on(wire::Generate& request) {
    if (scheduler_ == nullptr) {
      refuse_request(request.id, Errc::invalid_argument, "This model does not generate text.");
      return;
    }
    const auto id = request.id;
    AdapterId adapter = 0;
    if (!request.adapter.empty()) {
      const auto found = adapters_->find(request.adapter);
      if (!found) {
        refuse_request(id, Errc::not_found, no_adapter(request.adapter));
        return;
      }
      adapter = *found;
    }
    if (!preparing_->submit(PreparingJob{std::move(request), clock_.now(), adapter})) {
      refuse_request(id, Errc::resource_exhausted, "The model is busy; try again shortly.");
    }
  }
  void on(wire::Cancel& request) {
    preparing_->cancel(request.id);
    if (scheduler_ != nullptr) scheduler_->cancel(request.id);
    embedding_->cancel(request.id);
  }
  void on(wire::Embed& request) { prepare_other(std::move(request)); }
  void on(wire::Rerank& request) { prepare_other(std::move(request)); }
  void on(wire::Tokenize& request) { prepare_other(std::move(request)); }
  void on(wire::Detokenize& request) { prepare_other(std::move(request)); }
  void on(wire::Ping& /*request*/) {}
  void on(wire::Shutdown& request) {
    shutdown_at_ = Deadline::after(clock_, std::chrono::milliseconds(request.drain_ms));
  }
  void on(wire::LoadAdapter& request) {
    if (scheduler_ == nullptr) {
      refuse_request(request.id, Errc::invalid_argument, "This model takes no adapters.");
      return;
    }
    if (const auto loaded = adapters_->load(request.name, request.path, request.scale); !loaded) {
      refuse_request(request.id, loaded.error().code, loaded.error().message);
      return;
    }
    emit(wire::Ack{request.id});
  }
  void on(wire::UnloadAdapter& request) {
    if (adapters_ == nullptr || !adapters_->unload(request.name)) {
      refuse_request(request.id, Errc::not_found, no_adapter(request.name));
      return;
    }
    emit(wire::Ack{request.id});
  }
  static std::string no_adapter(const std::string& name) {
    return std::format("The adapter '{}' is not loaded.", name);
  }

  template <class Request>
  void prepare_other(Request request) {
    const auto id = request.id;
    if (!preparing_->submit(PreparingJob{std::move(request), clock_.now(), 0})) {
      refuse_request(id, Errc::resource_exhausted, "The model is busy; try again shortly.");
    }
  }

  void on_prepared(PreparedWork work) {
    if (auto* request = std::get_if<PreparedRequest>(&work)) {
      if (preparing_->take_cancelled(request->request.id)) {
        for (std::uint32_t choice = 0; choice < request->request.choices; ++choice) {
          emit(wire::ChoiceDone{request->request.id, choice, wire::FinishReason::cancelled, {}, 0});
        }
        emit(wire::Done{.id = request->request.id});
        return;
      }
      if (!adapters_->usable(request->adapter)) {
        refuse_request(request->request.id, Errc::not_found, no_adapter(request->request.adapter));
        return;
      }
      scheduler_->submit(std::move(*request));
    } else {
      embedding_->submit(std::move(std::get<EmbeddingJob>(work)));
    }
  }

  void refuse_request(wire::RequestId id, Errc code, std::string message) {
    emit(wire::Failed{id, code, std::move(message), {}});
  }

  // ---- events -----------------------------------------------------------------------------
  void emit(wire::ToServer event) { wire::encode(event, outgoing_); }
  void flush() {
    if (outgoing_.empty()) return;
    (void)channel_.send_bytes(outgoing_);
    outgoing_.clear();
  }
  void send_stats() {
    const auto now = clock_.now();
    if (now < stats_next_) return;
    stats_next_ = now + kStatsEvery;
    if (adapters_ != nullptr) adapters_->sweep();
    wire::Stats stats;
    if (scheduler_ != nullptr) scheduler_->fill(stats);
    stats.resident_bytes = resident_bytes();
    stats.contention = contention_now();
    emit(stats);
    flush();
  }

  using InboxItem = std::variant<wire::ToEngine, PreparedWork>;

  wire::Channel& channel_;
  EngineOptions options_;
  SteadyClock clock_;
  BoundedQueue<InboxItem> inbox_;
  Result<void> outcome_;
  // Engine thread only, from here on.
  std::unique_ptr<LlamaModel> model_;
  std::unique_ptr<TokenTexts> texts_;
  std::unique_ptr<grammar::TokenTable> tokens_;
  std::unique_ptr<Scheduler> scheduler_;
  std::unique_ptr<EmbeddingQueue> embedding_;
  std::unique_ptr<chat::FencedRenderer> renderer_;
  std::unique_ptr<PreparingPool> preparing_;
  std::unique_ptr<AdapterShelf> adapters_;
  ThreadChoice threads_;
  std::string outgoing_;
  TimePoint stats_next_{};
  std::optional<Deadline> shutdown_at_;
};

}  // namespace

Result<void> serve_engine(wire::Channel& channel, EngineOptions options) {
  Engine engine(channel, std::move(options));
  return engine.run();
}

}  // namespace hf::runtime
