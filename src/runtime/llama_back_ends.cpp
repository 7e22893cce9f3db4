#include <mutex>

#include <dlfcn.h>

#include "base/log.hpp"
#include "runtime/llama_parts.hpp"

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

void set_blas_threads(std::uint32_t threads) {
  using SetThreads = void (*)(int);
  if (auto* found = ::dlsym(RTLD_DEFAULT, "openblas_set_num_threads"); found != nullptr) {
    reinterpret_cast<SetThreads>(found)(static_cast<int>(threads));
  }
}

}  // namespace hf::runtime
