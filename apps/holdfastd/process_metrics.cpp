#include "holdfastd/process_metrics.hpp"

#include <cstdint>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <system_error>

#include <sys/resource.h>
#include <unistd.h>

namespace hf::daemon {
namespace {

double resident_bytes() {
  std::ifstream file("/proc/self/statm");
  std::uint64_t total = 0;
  std::uint64_t resident = 0;
  file >> total >> resident;
  return static_cast<double>(resident) * static_cast<double>(::sysconf(_SC_PAGESIZE));
}

double open_files() {
  std::error_code problem;
  const std::filesystem::directory_iterator entries("/proc/self/fd", problem);
  // One of them is the listing itself.
  return problem ? 0 : static_cast<double>(std::distance(begin(entries), end(entries)) - 1);
}

double seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

}  // namespace

ProcessMetrics::ProcessMetrics(Metrics& metrics)
    : resident_(metrics.gauge("process_resident_memory_bytes", "Resident memory of the server.")),
      open_files_(metrics.gauge("process_open_fds", "Open file descriptors.")),
      open_files_max_(metrics.gauge("process_max_fds", "Most file descriptors allowed.")),
      cpu_(metrics.counter("process_cpu_seconds_total", "Processor time used, engines not counted.")) {
  metrics.gauge("process_start_time_seconds", "When the server started, Unix time.")
      .set(static_cast<double>(std::time(nullptr)));
  metrics.gauge("holdfast_build_info", "Always 1; the version is in the label.",
                {{"version", HF_VERSION}})
      .set(1);
}

void ProcessMetrics::refresh() {
  resident_.set(resident_bytes());
  open_files_.set(open_files());
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    open_files_max_.set(static_cast<double>(limit.rlim_cur));
  }
  rusage used{};
  if (::getrusage(RUSAGE_SELF, &used) != 0) return;
  const auto now = seconds(used.ru_utime) + seconds(used.ru_stime);
  const Lock lock(mutex_);
  if (now > cpu_seconds_) cpu_.add(now - cpu_seconds_);
  cpu_seconds_ = now;
}

}  // namespace hf::daemon
