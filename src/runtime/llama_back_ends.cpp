#include <dlfcn.h>

#include <mutex>

#include "base/log.hpp"
#include "runtime/llama_parts.hpp"
#include "runtime/thread_team.hpp"

namespace hf::runtime {
namespace {

void on_log(ggml_log_level level, const char* text, void* /*user*/) {
  std::string_view line(text);
  while (line.ends_with('\n')) line.remove_suffix(1);
  if (line.empty() || line == ".") return;
  if (level == GGML_LOG_LEVEL_ERROR) {
    log::warn("ggml: {}", line);
  } else {
    log::debug("ggml: {}", line);
  }
}

}  // namespace

void start_back_ends() {
  static std::once_flag once;
  std::call_once(once, [] {
    llama_log_set(on_log, nullptr);
    ggml_backend_load_all();
    llama_backend_init();
  });
}

void drop_blas() {
  if (auto* blas = ggml_backend_reg_by_name("BLAS"); blas != nullptr) ggml_backend_unload(blas);
}

bool has_fast_blas() {
  return ::dlopen("libopenblas.so.0", RTLD_LAZY | RTLD_NOLOAD) != nullptr;
}

void set_blas_threads(std::uint32_t threads) {
  blas_threads().store(threads);
}

}  // namespace hf::runtime
