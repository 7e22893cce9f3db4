// The child's side of the fence: first it gives up whatever it could do harm with, then it parses
// and renders.
#include <charconv>
#include <csignal>
#include <cstddef>
#include <ctime>
#include <fstream>
#include <vector>

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "chat/chat_template.hpp"
#include "chat/render_frames.hpp"

namespace hf::chat {
namespace {

constexpr std::uint64_t kStackBytes = std::uint64_t{64} << 20U;
constexpr std::size_t kRequestBytesMax = std::size_t{256} << 20U;

// Sanitizers map terabytes and open files for their reports.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif

void limit(decltype(RLIMIT_CORE) resource, std::uint64_t bytes) {
  const rlimit value{.rlim_cur = bytes, .rlim_max = bytes};
  (void)setrlimit(resource, &value);
}

#if defined(__x86_64__)
constexpr std::uint32_t kArchitecture = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
constexpr std::uint32_t kArchitecture = AUDIT_ARCH_AARCH64;
#else
constexpr std::uint32_t kArchitecture = 0;
#endif

// Everything but talking on open descriptors, memory and ending fails with EPERM from now on.
void allow_few_calls() {
  constexpr int kAllowed[] = {
      SYS_read,   SYS_write,      SYS_brk,          SYS_mmap,         SYS_munmap,
      SYS_mremap, SYS_mprotect,   SYS_madvise,      SYS_futex,        SYS_exit,
      SYS_getpid, SYS_exit_group, SYS_rt_sigreturn, SYS_rt_sigaction, SYS_rt_sigprocmask,
      SYS_gettid, SYS_tgkill,     SYS_getrandom,    SYS_sched_yield,  SYS_clock_gettime};
  if (kArchitecture == 0 || kSanitized) return;
  std::vector<sock_filter> program = {
      {BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(seccomp_data, arch)},
      {BPF_JMP | BPF_JEQ | BPF_K, 1, 0, kArchitecture},
      {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_KILL_PROCESS},
      {BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(seccomp_data, nr)}};
  for (const int call : kAllowed) {
    program.push_back({BPF_JMP | BPF_JEQ | BPF_K, 0, 1, static_cast<std::uint32_t>(call)});
    program.push_back({BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW});
  }
  program.push_back({BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ERRNO | EPERM});
  sock_fprog filter{.len = static_cast<unsigned short>(program.size()), .filter = program.data()};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0) {
    (void)prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter);
  }
}

std::uint64_t address_space_bytes() {
  std::ifstream file("/proc/self/statm");
  std::uint64_t pages = 0;
  file >> pages;
  return pages * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
}

void close_others(int descriptor) {
  const auto own = static_cast<unsigned>(descriptor);
  if (own > 3) (void)close_range(3, own - 1, 0);
  (void)close_range(own < 3 ? 3 : own + 1, ~0U, 0);
}

void raise_fence(int descriptor, std::uint64_t memory_bytes_max) {
  (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
  (void)prctl(PR_SET_DUMPABLE, 0);
  tzset();  // While files may still be opened.
  const auto memory_now = address_space_bytes();
  close_others(descriptor);
  limit(RLIMIT_CORE, 0);
  limit(RLIMIT_FSIZE, 0);
  limit(RLIMIT_NPROC, 0);
  limit(RLIMIT_STACK, kStackBytes);
  if (kSanitized) return;
  limit(RLIMIT_NOFILE, 0);
  if (memory_now > 0) limit(RLIMIT_AS, memory_now + memory_bytes_max);
  allow_few_calls();
}

std::uint64_t number(const std::string& text) {
  std::uint64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

RenderFrame failed(const Error& error) {
  return {FrameKind::failed,
          {std::to_string(static_cast<unsigned>(error.code)), error.message, error.detail,
           error.param}};
}

Result<std::string> render(TemplateRenderer& renderer, const RenderFrame& frame,
                           std::uint64_t output_bytes_max) {
  auto text = HF_TRY(renderer.render({.messages_json = frame.fields[0],
                                      .tools_json = frame.fields[1],
                                      .template_args_json = frame.fields[2],
                                      .add_generation_prompt = frame.fields[3] == "1"}));
  if (text.size() > output_bytes_max) {
    return fail(Errc::failed_precondition,
                "The model's chat template writes more text than it may; shorten the messages or "
                "give the model another template.");
  }
  return text;
}

}  // namespace

int render_child_main(int descriptor) {
  const auto first = read_frame(descriptor, kRequestBytesMax);
  if (!first || first->kind != FrameKind::open || first->fields.size() != 5) return 2;
  raise_fence(descriptor, number(first->fields[3]));
  const auto output_bytes_max = number(first->fields[4]);
  const auto renderer =
      TemplateRenderer::open(first->fields[0], first->fields[1], first->fields[2]);
  const auto opened = renderer ? RenderFrame{FrameKind::rendered, {""}} : failed(renderer.error());
  if (!write_frame(descriptor, opened) || !renderer) return 1;
  for (;;) {
    const auto frame = read_frame(descriptor, kRequestBytesMax);
    if (!frame) return 0;
    if (frame->kind != FrameKind::render || frame->fields.size() != 4) return 2;
    auto text = render(**renderer, *frame, output_bytes_max);
    const auto answer =
        text ? RenderFrame{FrameKind::rendered, {std::move(*text)}} : failed(text.error());
    if (!write_frame(descriptor, answer)) return 1;
  }
}

}  // namespace hf::chat
