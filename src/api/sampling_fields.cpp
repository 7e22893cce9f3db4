#include "api/sampling_fields.hpp"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <limits>

#include "base/digest.hpp"

namespace hf::api {
namespace {

constexpr std::int64_t kTokensMax = std::numeric_limits<std::int32_t>::max();
constexpr std::size_t kBiasesMax = 1024;
constexpr std::size_t kStopBytesMax = 512;
constexpr std::size_t kSaltBytesMax = 256;

std::uint64_t drawn_seed() {
  std::uint64_t seed = 0;
  const auto bytes = random_bytes(sizeof seed);
  std::memcpy(&seed, bytes.data(), sizeof seed);
  return seed;
}

void read_logit_bias(Fields& fields, std::vector<wire::LogitBias>& out) {
  const auto biases = fields.take("logit_bias", JsonKind::object);
  if (!biases) return;
  if (biases.size() > kBiasesMax) {
    return fields.fail("logit_bias", TextId::too_long_list, biases.size(), kBiasesMax);
  }
  for (const auto bias : biases) {
    const auto key = bias.key();
    wire::Token token = 0;
    const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), token);
    if (error != std::errc() || end != key.data() + key.size() || token < 0) {
      return fields.fail("logit_bias", TextId::bad_token_key, key.substr(0, 32));
    }
    const auto place = std::format("logit_bias.{}", key);
    if (!bias.is(JsonKind::number)) return fields.fail(place, TextId::want_number);
    const auto value = bias.number();
    if (value < -100 || value > 100) {
      return fields.fail(place, TextId::out_of_range, bias.raw().substr(0, 32), -100, 100);
    }
    out.push_back({.token = token, .bias = static_cast<float>(value)});
  }
}

void read_stop(Fields& fields, const ServiceOptions& options, std::vector<std::string>& stop) {
  fields.texts("stop", stop);
  if (stop.size() > options.stop_max) {
    fields.fail("stop", TextId::too_long_list, stop.size(), options.stop_max);
  }
  for (const auto& text : stop) {
    if (text.empty()) fields.fail("stop", TextId::empty_text);
    if (text.size() > kStopBytesMax) {
      fields.fail("stop", TextId::too_long_text, text.size(), kStopBytesMax);
    }
  }
}

// Parameters of vLLM whose neutral value changes nothing.
void take_neutral(Fields& fields) {
  fields.only("use_beam_search", "false");
  fields.only("include_stop_str_in_output", "false");
  fields.only("skip_special_tokens", "true");
  fields.only("spaces_between_special_tokens", "true");
  fields.only("min_tokens", "0");
}

}  // namespace

void read_sampling(Fields& fields, wire::Generate& request) {
  auto& sampling = request.sampling;
  fields.number("temperature", 0, 2, sampling.temperature);
  fields.number("top_p", 0, 1, sampling.top_p);
  fields.number("min_p", 0, 1, sampling.min_p);
  fields.number("typical_p", 0, 1, sampling.typical_p);
  fields.number("repetition_penalty", 0.01, 10, sampling.repetition_penalty);
  fields.number("presence_penalty", -2, 2, sampling.presence_penalty);
  fields.number("frequency_penalty", -2, 2, sampling.frequency_penalty);
  std::int64_t top_k = 0;
  fields.integer("top_k", -1, std::numeric_limits<std::int32_t>::max(), top_k);
  sampling.top_k = top_k < 0 ? 0 : static_cast<std::int32_t>(top_k);
  read_logit_bias(fields, sampling.logit_bias);
  if (fields.has("seed")) {
    std::int64_t seed = 0;
    fields.integer("seed", std::numeric_limits<std::int64_t>::min(),
                   std::numeric_limits<std::int64_t>::max(), seed);
    sampling.seed = static_cast<std::uint64_t>(seed);
  } else {
    fields.accept({"seed"});
    sampling.seed = drawn_seed();
  }
  bool ignore_eos = false;
  fields.flag("ignore_eos", ignore_eos);
  request.ignore_eos = ignore_eos ? 1 : 0;
  take_neutral(fields);
}

void read_choices(Fields& fields, const ServiceOptions& options, wire::Generate& request) {
  std::int64_t choices = 1;
  fields.integer("n", 1, options.choices_max, choices);
  request.choices = static_cast<std::uint32_t>(choices);
  read_stop(fields, options, request.stop);
}

void read_placement(Fields& fields, const Caller& caller, const ServiceOptions& options,
                    wire::Generate& request) {
  const auto highest = caller.priority_max;
  request.priority = std::max(wire::Priority::normal, highest);
  if (const auto wanted = fields.word("priority", {"interactive", "normal", "batch"})) {
    request.priority = *parse_priority(*wanted);
    if (request.priority < highest) {
      const auto said =
          say(fields.language(), TextId::priority_refused, *wanted, priority_name(highest));
      fields.fail_with({Error{Errc::permission_denied, said, {}, fields.path("priority")}});
    }
  }
  std::string salt;
  fields.text("cache_salt", salt);
  if (salt.size() > kSaltBytesMax) {
    fields.fail("cache_salt", TextId::too_long_text, salt.size(), kSaltBytesMax);
  }
  request.tenant = caller.tenant;
  request.cache_scope = caller.tenant;
  // A line break cannot be part of a tenant's name: scopes of different tenants never meet.
  if (!salt.empty()) request.cache_scope += '\n' + salt;
  const std::chrono::milliseconds timeout = options.request_timeout;
  request.deadline_ms = static_cast<std::uint32_t>(
      std::min<std::int64_t>(timeout.count(), std::numeric_limits<std::uint32_t>::max()));
}

void accept_metadata(Fields& fields) {
  fields.accept({"user", "metadata", "safety_identifier", "prompt_cache_key",
                 "prompt_cache_retention", "request_id", "guided_decoding_backend"});
  fields.word("service_tier", {"auto", "default"});
}

void read_stream(Fields& fields, bool& stream, bool& usage) {
  fields.flag("stream", stream);
  const auto options = fields.take("stream_options");
  if (!options || !fields.good()) return;
  if (!stream) return fields.fail("stream_options", TextId::stream_options_need_stream);
  Fields inner(options, fields.path("stream_options"), fields.language());
  inner.flag("include_usage", usage);
  inner.accept({"include_obfuscation"});
  inner.only("continuous_usage_stats", "false");
  fields.merge(inner);
}

void read_limit(Fields& fields, std::string_view name, std::uint32_t& tokens) {
  std::int64_t limit = 0;
  fields.integer(name, 1, kTokensMax, limit);
  if (limit > 0) tokens = static_cast<std::uint32_t>(limit);
}

}  // namespace hf::api
