// Matrix products of ggml's BLAS back end on our own team (docs/adr/0005). The BLAS library has
// threads of its own, which spin against ours for the same cores; here it computes with one thread
// per call, and the calls run side by side. Linked into the engine program, whose exported symbols
// come before the library's. Interface: CBLAS (Blackford et al., BLAS Technical Forum, 2001).
#include <dlfcn.h>

#include <algorithm>
#include <atomic>

#include "runtime/thread_team.hpp"

extern "C" {
void GOMP_parallel(void (*body)(void*), void* argument, unsigned threads, unsigned flags);
int omp_get_thread_num(void);
int omp_get_num_threads(void);
}

namespace {

using Sgemm = void (*)(int, int, int, int, int, int, float, const float*, int, const float*, int, float,
                       float*, int);
constexpr int kRowMajor = 101;
constexpr int kNoTranspose = 111;
constexpr int kColumnsMin = 32;  // Of the result, per thread.

// Found at the first product: by then the back end has loaded the library.
Sgemm library_sgemm() {
  static const auto kFound = [] {
    auto* blas = ::dlopen("libblas.so.3", RTLD_LAZY | RTLD_NOLOAD);
    if (auto* open = ::dlopen("libopenblas.so.0", RTLD_LAZY | RTLD_NOLOAD); open != nullptr) {
      using SetThreads = void (*)(int);
      auto* set = reinterpret_cast<SetThreads>(::dlsym(open, "openblas_set_num_threads"));
      if (set != nullptr) set(1);
      if (blas == nullptr) blas = open;
    }
    return blas == nullptr ? nullptr : reinterpret_cast<Sgemm>(::dlsym(blas, "cblas_sgemm"));
  }();
  return kFound;
}

struct Product {
  int transpose_a, transpose_b, m, n, k;
  float alpha;
  const float* a;
  int lda;
  const float* b;
  int ldb;
  float beta;
  float* c;
  int ldc;
};

// One thread's columns of a row-major result.
void columns(void* argument) {
  const auto& p = *static_cast<const Product*>(argument);
  const auto threads = omp_get_num_threads();
  const auto id = omp_get_thread_num();
  // Whole blocks of 16 columns, as kernels like them.
  const auto blocks = (p.n + 15) / 16;
  const auto begin = std::min(p.n, blocks * id / threads * 16);
  const auto end = std::min(p.n, blocks * (id + 1) / threads * 16);
  if (begin == end) return;
  const auto* b = p.transpose_b == kNoTranspose ? p.b + begin
                                                : p.b + static_cast<std::ptrdiff_t>(begin) * p.ldb;
  library_sgemm()(kRowMajor, p.transpose_a, p.transpose_b, p.m, end - begin, p.k, p.alpha, p.a, p.lda, b,
                  p.ldb, p.beta, p.c + begin, p.ldc);
}

}  // namespace

extern "C" void cblas_sgemm(int layout, int transpose_a, int transpose_b, int m, int n, int k, float alpha,
                            const float* a, int lda, const float* b, int ldb, float beta, float* c, int ldc) {
  const auto threads = std::min(static_cast<int>(hf::runtime::blas_threads().load()), n / kColumnsMin);
  if (layout != kRowMajor || threads <= 1) {
    library_sgemm()(layout, transpose_a, transpose_b, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
    return;
  }
  Product product{transpose_a, transpose_b, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc};
  GOMP_parallel(columns, &product, static_cast<unsigned>(threads), 0);
}
