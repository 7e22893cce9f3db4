// The OpenMP runtime's entry points that ggml calls, on our own team (docs/adr/0005). Linked into
// the engine program, whose exported symbols come before libgomp's. Interface: the GOMP ABI as GCC
// emits it for `omp parallel`, `barrier`, `single`, `for schedule(dynamic)` and `atomic`.
#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include <pthread.h>

#include "runtime/thread_team.hpp"

namespace {

using hf::runtime::wait_meter;
using hf::runtime::WaitMeter;

constexpr unsigned kThreadsMax = 256;

// A thread's place in the region it runs.
struct Region {
  void (*body)(void*) = nullptr;
  void* argument = nullptr;
  unsigned threads = 1;
  alignas(64) std::atomic<std::uint32_t> arrived{0};
  alignas(64) std::atomic<std::uint32_t> generation{0};
  std::atomic<std::uint32_t> generation_sleepers{0};
  alignas(64) std::atomic<std::uint32_t> finished{0};
  std::atomic<std::uint32_t> finished_sleepers{0};
  std::atomic<std::uint32_t> singles{0};
  // omp for schedule(dynamic): one loop at a time.
  std::atomic<long> loop_next{0};
  long loop_end = 0, loop_step = 1, loop_chunk = 1;
};

struct Place {
  Region* region = nullptr;
  unsigned id = 0;
  std::uint32_t singles = 0;
};
thread_local Place place;

struct Worker {
  alignas(64) std::atomic<std::uint32_t> call{0};
  std::atomic<std::uint32_t> sleepers{0};
  Region* region = nullptr;
  unsigned id = 0;
};

struct Team {
  std::mutex owner;  // One region at a time; a second one runs on its own thread.
  std::vector<std::unique_ptr<Worker>> workers;
  Region region;
};
// Never destroyed: workers run until the process ends.
Team& team() {
  static Team& made = *new Team;
  return made;
}

void run(Region& region, unsigned id) {
  const auto outer = place;
  place = {&region, id, 0};
  region.body(region.argument);
  place = outer;
}

void work(Worker& worker) {
  pthread_setname_np(pthread_self(), "compute");
  std::uint32_t seen = 0;
  for (;;) {
    wait_meter().wait(worker.call, seen, worker.sleepers, WaitMeter::Kind::idle);
    ++seen;
    auto& region = *worker.region;
    run(region, worker.id);
    region.finished.fetch_add(1, std::memory_order_acq_rel);
    WaitMeter::wake(region.finished, region.finished_sleepers);
  }
}

void start_workers(Team& team, unsigned wanted) {
  while (team.workers.size() < wanted) {
    team.workers.push_back(std::make_unique<Worker>());
    team.workers.back()->id = static_cast<unsigned>(team.workers.size());
    std::thread([worker = team.workers.back().get()] { work(*worker); }).detach();
  }
}

void run_alone(void (*body)(void*), void* argument) {
  Region alone;
  alone.body = body;
  alone.argument = argument;
  run(alone, 0);
}

}  // namespace

extern "C" {

void GOMP_parallel(void (*body)(void*), void* argument, unsigned threads, unsigned /*flags*/) {
  auto& all = team();
  if (threads == 0) threads = std::thread::hardware_concurrency();
  threads = wait_meter().threads_for(std::min(threads, kThreadsMax));
  const std::unique_lock lock(all.owner, std::try_to_lock);
  if (threads <= 1 || place.region != nullptr || !lock.owns_lock()) {
    run_alone(body, argument);
    return;
  }
  wait_meter().count_region();
  start_workers(all, threads - 1);
  auto& region = all.region;
  region.body = body;
  region.argument = argument;
  region.threads = threads;
  region.arrived = 0;
  region.finished = 0;
  region.singles = 0;
  for (unsigned i = 0; i + 1 < threads; ++i) {
    auto& worker = *all.workers[i];
    worker.region = &region;
    worker.call.fetch_add(1);
    WaitMeter::wake(worker.call, worker.sleepers);
  }
  run(region, 0);
  for (auto done = region.finished.load(); done != threads - 1; done = region.finished.load()) {
    wait_meter().wait(region.finished, done, region.finished_sleepers, WaitMeter::Kind::measured);
  }
}

void GOMP_barrier(void) {
  auto* region = place.region;
  if (region == nullptr || region->threads == 1) return;
  const auto seen = region->generation.load();
  if (region->arrived.fetch_add(1, std::memory_order_acq_rel) + 1 == region->threads) {
    region->arrived.store(0, std::memory_order_relaxed);
    region->generation.store(seen + 1);
    WaitMeter::wake(region->generation, region->generation_sleepers);
    return;
  }
  while (region->generation.load(std::memory_order_acquire) == seen) {
    wait_meter().wait(region->generation, seen, region->generation_sleepers,
                      WaitMeter::Kind::measured);
  }
}

bool GOMP_single_start(void) {
  auto* region = place.region;
  if (region == nullptr || region->threads == 1) return true;
  auto expected = place.singles++;
  return region->singles.compare_exchange_strong(expected, expected + 1);
}

int omp_get_thread_num(void) {
  return static_cast<int>(place.id);
}
int omp_get_num_threads(void) {
  return place.region == nullptr ? 1 : static_cast<int>(place.region->threads);
}

static std::mutex atomic_lock;
void GOMP_atomic_start(void) {
  atomic_lock.lock();
}
void GOMP_atomic_end(void) {
  atomic_lock.unlock();
}

bool GOMP_loop_nonmonotonic_dynamic_next(long* begin, long* end) {
  auto* region = place.region;
  const auto from = region->loop_next.fetch_add(region->loop_chunk * region->loop_step);
  const bool left = region->loop_step > 0 ? from < region->loop_end : from > region->loop_end;
  if (!left) return false;
  const auto to = from + region->loop_chunk * region->loop_step;
  const bool over = region->loop_step > 0 ? to > region->loop_end : to < region->loop_end;
  *begin = from;
  *end = over ? region->loop_end : to;
  return true;
}

bool GOMP_loop_nonmonotonic_dynamic_start(long start, long end, long step, long chunk, long* from,
                                          long* to) {
  static thread_local Region outside;
  if (place.region == nullptr) place.region = &outside;
  auto* region = place.region;
  GOMP_barrier();
  if (place.id == 0) {
    region->loop_next = start;
    region->loop_end = end;
    region->loop_step = step;
    region->loop_chunk = chunk;
  }
  GOMP_barrier();
  return GOMP_loop_nonmonotonic_dynamic_next(from, to);
}

void GOMP_loop_end(void) {
  GOMP_barrier();
}

}  // extern "C"
