#include <dlfcn.h>
#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

#include "runtime/thread_team.hpp"

extern "C" void cblas_sgemm(int layout, int transpose_a, int transpose_b, int m, int n, int k, float alpha,
                            const float* a, int lda, const float* b, int ldb, float beta, float* c, int ldc);

namespace hf::runtime {
namespace {

std::vector<float> random_matrix(int rows, int columns, unsigned seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> uniform(-1, 1);
  std::vector<float> values(static_cast<std::size_t>(rows) * static_cast<std::size_t>(columns));
  for (auto& value : values) value = uniform(random);
  return values;
}

// c [m x n] = a [m x k] times b [n x k] transposed, as ggml asks for it.
double worst_difference(int m, int n, int k) {
  const auto a = random_matrix(m, k, 1);
  const auto b = random_matrix(n, k, 2);
  std::vector<float> c(static_cast<std::size_t>(m) * static_cast<std::size_t>(n), -7);
  cblas_sgemm(101, 111, 112, m, n, k, 1, a.data(), k, b.data(), k, 0, c.data(), n);
  double worst = 0;
  for (int row = 0; row < m; ++row) {
    for (int column = 0; column < n; ++column) {
      double sum = 0;
      for (int i = 0; i < k; ++i) {
        sum += double{a[static_cast<std::size_t>(row * k + i)]} *
               double{b[static_cast<std::size_t>(column * k + i)]};
      }
      worst = std::max(worst, std::abs(sum - double{c[static_cast<std::size_t>(row * n + column)]}));
    }
  }
  return worst;
}

TEST(BlasEntry, products_on_the_team_are_those_of_the_definition) {
  ASSERT_NE(::dlopen("libblas.so.3", RTLD_LAZY), nullptr) << "package libopenblas0-pthread";
  for (const unsigned threads : {1U, 2U, 3U, 5U}) {
    blas_threads().store(threads);
    for (const int n : {32, 63, 64, 65, 100, 576}) {
      EXPECT_LT(worst_difference(33, n, 96), 1e-4) << threads << " threads, " << n << " columns";
    }
  }
  blas_threads().store(1);
}

}  // namespace
}  // namespace hf::runtime
