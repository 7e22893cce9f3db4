#include <array>

#include "api/service.hpp"

namespace hf::api {
namespace {

constexpr auto kRoutes = std::to_array<Route>({
    {"POST", "/v1/chat/completions", Permission::infer, chat_completions},
    {"POST", "/v1/completions", Permission::infer, completions},
    {"POST", "/v1/responses", Permission::infer, responses},
    {"POST", "/v1/embeddings", Permission::infer, embeddings},
    {"POST", "/v1/rerank", Permission::infer, rerank},
    {"POST", "/v2/rerank", Permission::infer, rerank},  // Cohere's clients.
    {"POST", "/rerank", Permission::infer, rerank},
    {"POST", "/tokenize", Permission::infer, tokenize},
    {"POST", "/v1/tokenize", Permission::infer, tokenize},
    {"POST", "/detokenize", Permission::infer, detokenize},
    {"POST", "/v1/detokenize", Permission::infer, detokenize},
    {"GET", "/v1/models", Permission::models, list_models},
    {"GET", "/v1/models/{}", Permission::models, show_model},
    {"POST", "/v1/setup", Permission::open, set_up},
    {"GET", "/v1/keys", Permission::keys, list_keys},
    {"POST", "/v1/keys", Permission::keys, create_key},
    {"DELETE", "/v1/keys/{}", Permission::keys, revoke_key},
    {"GET", "/livez", Permission::open, live},
    {"GET", "/readyz", Permission::open, ready},
    {"GET", "/metrics", Permission::metrics, metrics_text},
});

}  // namespace

std::span<const Route> routes() { return kRoutes; }

}  // namespace hf::api
