#include "inference/engine_pool.hpp"

#include <algorithm>
#include <filesystem>
#include <format>
#include <fstream>
#include <ranges>
#include <system_error>
#include <utility>

#include <pthread.h>
#include <unistd.h>

#include "base/log.hpp"
#include "inference/call.hpp"
#include "inference/engine_process.hpp"
#include "inference/load_estimate.hpp"
#include "inference/model_slot.hpp"
#include "inference/wakeup.hpp"

namespace hf::inference {
namespace {

using namespace std::chrono_literals;
using registry::ModelRecord;

constexpr std::string_view kAdapterKind = "adapter";
constexpr std::uint64_t kMiB = std::uint64_t{1} << 20U;

TimePoint now_steady() {
  return std::chrono::steady_clock::now();
}

/// 0 if the system does not tell.
std::uint64_t available_bytes() {
  std::ifstream file("/proc/meminfo");
  std::string key;
  std::uint64_t kib = 0;
  std::string unit;
  while (file >> key >> kib && std::getline(file, unit)) {
    if (key == "MemAvailable:") return kib << 10U;
  }
  return 0;
}

std::string program_beside_this() {
  std::error_code error;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", error);
  return error ? std::string() : (self.parent_path() / "holdfast-engine").string();
}

Error unknown_model(std::string_view name, const std::vector<ModelRecord>& records) {
  std::string names;
  for (const auto& record : records) {
    if (!names.empty()) names += ", ";
    names += record.kind == kAdapterKind ? record.base + ":" + record.name : record.name;
  }
  if (names.empty()) names = "none yet";
  return {Errc::not_found,
          std::format("There is no model \"{}\"; the models here are: {}.", name, names),
          {},
          "model"};
}

ModelStatus with_record(ModelStatus status, const ModelRecord& record,
                        const std::vector<ModelRecord>& records) {
  status.name = record.name;
  status.created = record.added;
  status.licence = record.licence;
  status.kind = record.kind;
  status.file_bytes = record.bytes;
  for (const auto& other : records) {
    if (other.kind != kAdapterKind || other.base != record.name) continue;
    if (!std::ranges::contains(status.adapters, other.name)) status.adapters.push_back(other.name);
  }
  return status;
}

class RunningGeneration final : public Generation {
 public:
  RunningGeneration(std::shared_ptr<ModelSlot> slot, std::shared_ptr<Call> call)
      : slot_(std::move(slot)), call_(std::move(call)) {}
  ~RunningGeneration() override { slot_->cancel(*call_, CancelKind::abandoned); }
  RunningGeneration(const RunningGeneration&) = delete;
  RunningGeneration& operator=(const RunningGeneration&) = delete;
  void cancel() override { slot_->cancel(*call_, CancelKind::wanted); }

 private:
  // Shared: the handle may outlive the pool.
  std::shared_ptr<ModelSlot> slot_;
  std::shared_ptr<Call> call_;
};

}  // namespace

Result<std::unique_ptr<Inference>> EnginePool::open(EnginePoolOptions options,
                                                    registry::ModelStore store, Metrics& metrics) {
  return open(std::move(options), models_of(std::move(store)), metrics);
}

Result<std::unique_ptr<Inference>> EnginePool::open(EnginePoolOptions options,
                                                    std::shared_ptr<const ModelSource> source,
                                                    Metrics& metrics) {
  if (options.engine_program.empty()) options.engine_program = program_beside_this();
  if (::access(options.engine_program.c_str(), X_OK) != 0) {
    return fail(Errc::failed_precondition,
                "The engine program is missing; install holdfast-engine beside the server or set "
                "its path.",
                options.engine_program);
  }
  auto wakeup = std::make_shared<Wakeup>();
  if (wakeup->fd() < 0) {
    return fail(Errc::internal, "No descriptor is left; raise the descriptor limit.");
  }
  auto pool = std::unique_ptr<EnginePool>(
      new EnginePool(std::move(options), std::move(source), metrics, std::move(wakeup)));
  try {
    pool->supervisor_ = std::thread([raw = pool.get()] { raw->supervise(); });
  } catch (const std::system_error& error) {
    return fail(Errc::internal, "No thread could be started; raise the process limit.",
                error.what());
  }
  return pool;
}

EnginePool::EnginePool(EnginePoolOptions options, std::shared_ptr<const ModelSource> source,
                       Metrics& metrics, std::shared_ptr<Wakeup> wakeup)
    : options_(std::make_shared<const EnginePoolOptions>(std::move(options))),
      source_(std::move(source)),
      wakeup_(std::move(wakeup)),
      metrics_(metrics),
      budget_bytes_(options_->memory_budget_bytes) {
  if (budget_bytes_ == 0) budget_bytes_ = available_bytes() / 4 * 3;
  for (const auto& name : options_->preload) slot_of(name)->want_load();
  for (const auto& name : options_->pinned) slot_of(name)->want_load();
}

EnginePool::~EnginePool() {
  closing_ = true;
  wakeup_->ring();
  if (supervisor_.joinable()) supervisor_.join();
}

std::shared_ptr<ModelSlot> EnginePool::slot_of(const std::string& name) const {
  const Lock lock(mutex_);
  auto& slot = slots_[name];
  if (!slot) {
    const bool pinned = std::ranges::contains(options_->pinned, name);
    slot = std::make_shared<ModelSlot>(name, pinned ? Keep::always : Keep::while_used, options_,
                                       wakeup_, metrics_);
  }
  return slot;
}

std::vector<std::shared_ptr<ModelSlot>> EnginePool::slots() const {
  const Lock lock(mutex_);
  return slots_ | std::views::values | std::ranges::to<std::vector>();
}

Result<EnginePool::Target> EnginePool::find(std::string_view name) const {
  if (closing_) return fail(Errc::unavailable, "The server is shutting down; retry in a minute.");
  auto base = std::string(name.substr(0, name.find(':')));
  auto adapter = base.size() < name.size() ? std::string(name.substr(base.size() + 1)) : "";
  {
    const Lock lock(mutex_);
    const auto found = slots_.find(base);
    if (found != slots_.end() && found->second->active() &&
        (adapter.empty() || found->second->knows_adapter(adapter))) {
      return Target{.slot = found->second, .adapter = adapter, .adapter_path = {}};
    }
  }
  const auto records = HF_TRY(source_->list());
  auto record = std::ranges::find(records, base, &ModelRecord::name);
  if (record != records.end() && record->kind == kAdapterKind && adapter.empty()) {
    adapter = base;
    base = record->base;
    record = std::ranges::find(records, base, &ModelRecord::name);
  }
  if (record == records.end() || record->kind == kAdapterKind) {
    return std::unexpected(unknown_model(name, records));
  }
  Target target{.slot = slot_of(base), .adapter = adapter, .adapter_path = {}};
  if (adapter.empty() || target.slot->knows_adapter(adapter)) return target;
  const auto file = std::ranges::find_if(records, [&](const ModelRecord& other) {
    return other.kind == kAdapterKind && other.name == adapter && other.base == base;
  });
  if (file == records.end()) return std::unexpected(unknown_model(name, records));
  target.adapter_path = file->path;
  return target;
}

std::vector<ModelStatus> EnginePool::models() const {
  const auto records = source_->list();
  if (!records) {
    log::failure("list of models", records.error());
    return {};
  }
  std::vector<ModelStatus> all;
  for (const auto& record : *records) {
    if (record.kind == kAdapterKind) continue;
    all.push_back(with_record(slot_of(record.name)->status(), record, *records));
  }
  return all;
}

Result<ModelStatus> EnginePool::model(std::string_view name) const {
  const auto records = HF_TRY(source_->list());
  const auto target = HF_TRY(find(name));
  const auto record = std::ranges::find(records, target.slot->name(), &ModelRecord::name);
  if (record == records.end()) return target.slot->status();
  return with_record(target.slot->status(), *record, records);
}

void EnginePool::when_ready(std::string_view name, Reply<ModelStatus> reply) {
  auto target = find(name);
  if (!target) return reply(std::unexpected(target.error()));
  target->slot->when_ready(
      [source = source_, reply = std::move(reply)](Result<ModelStatus> status) mutable {
        if (const auto records = source->list(); status && records) {
          const auto record = std::ranges::find(*records, status->name, &ModelRecord::name);
          if (record != records->end()) status = with_record(*std::move(status), *record, *records);
        }
        reply(std::move(status));
      });
}

Result<std::shared_ptr<Call>> EnginePool::place(const Target& target, std::shared_ptr<Call> call) {
  call->arrived = now_steady();
  call->adapter = target.adapter;
  call->adapter_path = target.adapter_path;
  HF_TRY_VOID(target.slot->submit(call));
  return call;
}

Result<std::unique_ptr<Generation>> EnginePool::generate(
    std::string_view model, wire::Generate request, std::shared_ptr<GenerationListener> listener) {
  const auto target = HF_TRY(find(model));
  auto call = std::make_shared<Call>();
  call->id = ++last_id_;
  request.id = call->id;
  request.adapter = target.adapter;
  if (request.deadline_ms > 0) {
    call->deadline.at = now_steady() + std::chrono::milliseconds(request.deadline_ms);
  }
  call->progress.emplace(std::move(request));
  call->listener = std::move(listener);
  call = HF_TRY(place(target, std::move(call)));
  return std::make_unique<RunningGeneration>(target.slot, std::move(call));
}

template <class Message, class Answer>
void EnginePool::ask(std::string_view model, Message request, Reply<Answer> reply) {
  auto target = find(model);
  if (!target) return reply(std::unexpected(target.error()));
  target->adapter.clear();
  auto call = std::make_shared<Call>();
  call->id = ++last_id_;
  request.id = call->id;
  call->message = std::move(request);
  // Shared with the refusal below: the call may be dropped before the slot has taken it.
  auto shared = std::make_shared<Reply<Answer>>(std::move(reply));
  call->reply = [shared](Result<wire::ToServer> message) {
    if (!message) return (*shared)(std::unexpected(std::move(message).error()));
    auto* answer = std::get_if<Answer>(&*message);
    if (answer != nullptr) return (*shared)(std::move(*answer));
    (*shared)(fail(Errc::internal, "The engine gave an answer of the wrong kind; report this."));
  };
  const auto placed = place(*target, std::move(call));
  if (!placed) (*shared)(std::unexpected(placed.error()));
}

void EnginePool::embed(std::string_view model, wire::Embed request, Reply<wire::Embeddings> reply) {
  ask(model, std::move(request), std::move(reply));
}
void EnginePool::rerank(std::string_view model, wire::Rerank request, Reply<wire::Scores> reply) {
  ask(model, std::move(request), std::move(reply));
}
void EnginePool::tokenize(std::string_view model, wire::Tokenize request,
                          Reply<wire::Tokens> reply) {
  ask(model, std::move(request), std::move(reply));
}
void EnginePool::detokenize(std::string_view model, wire::Detokenize request,
                            Reply<wire::Tokens> reply) {
  ask(model, std::move(request), std::move(reply));
}
void EnginePool::load_adapter(std::string_view model, wire::LoadAdapter request,
                              Reply<wire::Ack> reply) {
  ask(model, std::move(request), std::move(reply));
}
void EnginePool::unload_adapter(std::string_view model, wire::UnloadAdapter request,
                                Reply<wire::Ack> reply) {
  ask(model, std::move(request), std::move(reply));
}

Result<void> EnginePool::unload(std::string_view model) {
  const auto target = HF_TRY(find(model));
  target.slot->request_unload();
  return {};
}

void EnginePool::supervise() {
  ::pthread_setname_np(::pthread_self(), "supervisor");
  for (;;) {
    const auto all = slots();
    std::vector<pollfd> fds = {{.fd = wakeup_->fd(), .events = POLLIN, .revents = 0}};
    for (const auto& slot : all) slot->add_descriptors(fds);
    const bool active = fds.size() > 1 || std::ranges::any_of(all, &ModelSlot::active);
    const auto patience = active ? options_->tick : Duration{std::chrono::seconds(5)};
    const auto wait_ms = std::chrono::duration_cast<std::chrono::milliseconds>(patience).count();
    ::poll(fds.data(), fds.size(), static_cast<int>(wait_ms));
    wakeup_->clear();
    const auto now = now_steady();
    const auto current = slots();
    const bool closing = closing_;
    if (closing) std::ranges::for_each(current, [now](auto& slot) { slot->begin_close(now); });
    for (const auto& slot : current) slot->advance(now);
    if (closing && std::ranges::all_of(current, &ModelSlot::closed)) return;
    if (!closing) load_wanted(current);
  }
}

void EnginePool::load_wanted(const std::vector<std::shared_ptr<ModelSlot>>& all) {
  for (const auto& slot : all) {
    if (slot->wants_load(now_steady())) admit(*slot, all);
  }
}

EnginePool::Room EnginePool::room_beside(const ModelSlot& slot,
                                         const std::vector<std::shared_ptr<ModelSlot>>& all) const {
  Room room;
  for (const auto& other : all) {
    if (other.get() == &slot || !other->holds_memory()) continue;
    const auto bytes = other->charge_bytes();
    room.used_bytes += bytes;
    ++room.loaded;
    if (other->leaving()) {
      room.leaving_bytes += bytes;
      ++room.leaving;
    } else if (const auto since = other->idle_since()) {
      room.idle.emplace_back(*since, other.get());
    }
  }
  std::ranges::sort(room.idle);
  return room;
}

EnginePool::Fit EnginePool::make_room(const ModelSlot& slot, std::uint64_t need_bytes,
                                      const Room& room) const {
  const auto fits = [&](std::uint64_t bytes, std::uint32_t loaded) {
    return bytes + need_bytes <= budget_bytes_ &&
           (options_->models_max == 0 || loaded < options_->models_max);
  };
  if (fits(room.used_bytes, room.loaded)) return Fit::now;
  auto bytes = room.used_bytes - room.leaving_bytes;
  auto loaded = room.loaded - room.leaving;
  std::vector<ModelSlot*> victims;
  for (const auto& [since, victim] : room.idle) {
    if (fits(bytes, loaded)) break;
    victims.push_back(victim);
    bytes -= std::min(bytes, victim->charge_bytes());
    --loaded;
  }
  if (!fits(bytes, loaded)) return Fit::never;
  for (auto* victim : victims) {
    // One that has just got a request stays; the next round chooses again.
    if (!victim->evict(now_steady())) continue;
    log::info("model {}: unloaded to make room for {}", victim->name(), slot.name());
  }
  return Fit::soon;
}

void EnginePool::admit(ModelSlot& slot, const std::vector<std::shared_ptr<ModelSlot>>& all) {
  const auto records = source_->list();
  if (!records) return slot.refuse(records.error());
  const auto record = std::ranges::find(*records, slot.name(), &ModelRecord::name);
  if (record == records->end()) return slot.refuse(unknown_model(slot.name(), *records));
  const auto need_bytes = load_estimate_bytes(*options_, *record);
  const auto room = room_beside(slot, all);
  const auto fit = slot.holds_memory() ? Fit::now : make_room(slot, need_bytes, room);
  if (fit == Fit::soon) return;
  if (fit == Fit::never) {
    return slot.refuse(
        {Errc::resource_exhausted,
         std::format("The model \"{}\" needs about {} MiB, but {} MiB of the {} MiB for models are "
                     "free; retry when other models are idle, or raise the memory budget.",
                     slot.name(), need_bytes / kMiB,
                     (budget_bytes_ - std::min(room.used_bytes, budget_bytes_)) / kMiB,
                     budget_bytes_ / kMiB)});
  }
  slot.start(command_for(*record), need_bytes, now_steady());
}

EngineCommand EnginePool::command_for(const registry::ModelRecord& record) const {
  EngineCommand command{.program = options_->engine_program,
                        .arguments = {"--model", record.path, "--name", record.name}};
  if (options_->cells > 0) {
    command.arguments.append_range(
        std::vector{std::string("--cells"), std::to_string(options_->cells)});
  }
  command.arguments.append_range(options_->engine_arguments);
  const auto own = options_->model_arguments.find(record.name);
  if (own != options_->model_arguments.end()) command.arguments.append_range(own->second);
  return command;
}

}  // namespace hf::inference
