#pragma once
// The members that all generation endpoints share: sampling, stopping, place in the queue, and what
// is accepted without effect. One thread.

#include "api/fields.hpp"
#include "api/service.hpp"
#include "wire/messages.hpp"

namespace hf::api {

/// temperature, top_p, top_k, min_p, typical_p, the penalties, logit_bias, seed, ignore_eos and the
/// neutral values of vLLM's further parameters. A seed is drawn if there is none.
void read_sampling(Fields& fields, wire::Generate& request);
/// n and stop.
void read_choices(Fields& fields, const ServiceOptions& options, wire::Generate& request);
/// priority, cache_salt; tenant, cache scope and deadline from caller and options.
void read_placement(Fields& fields, const Caller& caller, const ServiceOptions& options,
                    wire::Generate& request);
/// user, metadata and others that change no answer.
void accept_metadata(Fields& fields);
/// stream and stream_options; `usage`: the caller wants a usage chunk.
void read_stream(Fields& fields, bool& stream, bool& usage);
/// A token limit of at least 1, where it is given.
void read_limit(Fields& fields, std::string_view name, std::uint32_t& tokens);

}  // namespace hf::api
