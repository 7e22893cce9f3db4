#include "grammar/grammar.hpp"

#include <format>

#include "base/utf8.hpp"
#include "grammar/compiled_grammar.hpp"
#include "grammar/gbnf.hpp"
#include "grammar/regex.hpp"

namespace hf::grammar {
namespace {

/// Translations grow: a schema of one byte can mean a hundred bytes of GBNF.
constexpr std::size_t kTranslatedBytesMax = std::size_t{32} << 20U;

Result<std::string> choices_to_gbnf(const std::vector<std::string>& choices) {
  if (choices.empty())
    return fail(Errc::invalid_argument, "The list of choices is empty; give at least one.");
  std::string out = "root ::= ";
  for (std::size_t i = 0; i < choices.size(); ++i) {
    if (!utf8::valid(choices[i])) {
      return fail(Errc::invalid_argument, std::format("Choice {} is not valid UTF-8.", i));
    }
    out += (i == 0 ? "" : " | ") + gbnf_literal(choices[i]);
  }
  return out + '\n';
}

Result<std::string> to_gbnf(const wire::Grammar& source, const Limits& limits) {
  switch (source.kind) {
    case wire::GrammarKind::none:
      break;
    case wire::GrammarKind::gbnf:
      return source.text;
    case wire::GrammarKind::choice:
      return choices_to_gbnf(source.choices);
    case wire::GrammarKind::json_object:
      return schema_to_gbnf(R"({"type":"object"})", "root", limits);
    case wire::GrammarKind::json_schema:
      return schema_to_gbnf(source.text, "root", limits);
    case wire::GrammarKind::regex: {
      return "root ::= " + HF_TRY(regex_to_gbnf(source.text, RegexTarget::whole_text, {}, limits)) +
             '\n';
    }
  }
  return fail(Errc::invalid_argument, "There is no grammar to compile; give its kind and text.");
}

}  // namespace

Result<std::shared_ptr<const Grammar>> compile(const wire::Grammar& source, const Limits& limits) {
  std::size_t size = source.text.size();
  for (const auto& choice : source.choices) size += choice.size();
  if (size > limits.source_bytes_max) {
    return fail(Errc::invalid_argument,
                std::format("The grammar has {} bytes; at most {} are allowed.", size,
                            limits.source_bytes_max));
  }
  auto gbnf = HF_TRY(to_gbnf(source, limits));
  if (gbnf.size() > kTranslatedBytesMax) {
    return fail(Errc::invalid_argument,
                "The grammar grows too large when translated; make it smaller.");
  }
  const auto syntax = HF_TRY(parse_gbnf(gbnf, limits));
  auto automaton = HF_TRY(Automaton::build(syntax, limits));
  auto grammar = std::make_shared<const CompiledGrammar>(std::move(gbnf), std::move(automaton),
                                                         limits.stacks_max);
  const auto knowledge = grammar->knowledge(limits.stacks_max);
  if (knowledge->states.start() == knowledge->states.over_limit()) {
    return fail(Errc::invalid_argument,
                std::format("The grammar begins in more than {} ways; make it less ambiguous.",
                            limits.stacks_max));
  }
  return grammar;
}

}  // namespace hf::grammar
