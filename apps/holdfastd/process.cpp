#include "holdfastd/process.hpp"

#include <algorithm>

#include <malloc.h>
#include <sys/prctl.h>
#include <sys/resource.h>

namespace hf::daemon {

void prepare_process() {
  constexpr int kArenasMax = 2;
  constexpr int kTrimBytes = 1 << 20;
  ::mallopt(M_ARENA_MAX, kArenasMax);
  ::mallopt(M_TRIM_THRESHOLD, kTrimBytes);
  const rlimit none{0, 0};
  ::setrlimit(RLIMIT_CORE, &none);
  ::prctl(PR_SET_DUMPABLE, 0);  // A piped core pattern ignores the limit.
  ::signal(SIGPIPE, SIG_IGN);
}

std::uint64_t raise_open_files(std::uint64_t wanted) {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 0;
  if (limit.rlim_cur >= wanted) return limit.rlim_cur;
  const rlimit higher{wanted, std::max<rlim_t>(limit.rlim_max, wanted)};
  if (::setrlimit(RLIMIT_NOFILE, &higher) == 0) return wanted;
  const rlimit most{std::min<rlim_t>(wanted, limit.rlim_max), limit.rlim_max};
  if (::setrlimit(RLIMIT_NOFILE, &most) == 0) return most.rlim_cur;
  return limit.rlim_cur;
}

void trim_memory() { ::malloc_trim(0); }

sigset_t block_signals() {
  sigset_t set;
  ::sigemptyset(&set);
  for (const int number : {SIGTERM, SIGINT, SIGHUP}) ::sigaddset(&set, number);
  ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
  return set;
}

}  // namespace hf::daemon
