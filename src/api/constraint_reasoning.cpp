#include "api/constraint_reasoning.hpp"

#include <format>
#include <optional>
#include <string>
#include <utility>

#include "chat/output_parser.hpp"
#include "grammar/grammar.hpp"

namespace hf::api {
namespace {

constexpr std::string_view kRootRule = "root ::=";
constexpr std::string_view kAnswerRule = "answer ::=";
constexpr std::string_view kClose = "</think>";
// Any text without "</"; reasoning has that only in the tag that ends it.
constexpr std::string_view kThoughtRules =
    "hf-thought ::= ( [^<] | \"<\"+ [^</] )*\n"
    "hf-space ::= [ \\n\\t\\r]*\n";

bool ends_closed(std::string_view prompt) {
  const auto last = prompt.find_last_not_of(" \n\r\t");
  return last != std::string_view::npos && prompt.substr(0, last + 1).ends_with(kClose);
}

// The first rule named root, and only it, gets the name answer. Only for rules written here: no
// other rule refers to their root.
std::optional<std::string> renamed(std::string gbnf) {
  for (auto at = gbnf.find(kRootRule); at != std::string::npos; at = gbnf.find(kRootRule, at + 1)) {
    if (at != 0 && gbnf[at - 1] != '\n') continue;
    gbnf.replace(at, kRootRule.size(), kAnswerRule);
    return gbnf;
  }
  return std::nullopt;
}

// GBNF whose start rule is "answer".
Result<std::string> answer_rules(const wire::Grammar& grammar) {
  switch (grammar.kind) {
    case wire::GrammarKind::json_object:
      return grammar::schema_to_gbnf(R"({"type":"object"})", "answer");
    case wire::GrammarKind::json_schema:
      return grammar::schema_to_gbnf(grammar.text, "answer");
    case wire::GrammarKind::none:
    case wire::GrammarKind::regex:
    case wire::GrammarKind::gbnf:
    case wire::GrammarKind::choice:
      break;
  }
  const auto compiled = HF_TRY(grammar::compile(grammar));
  if (auto rules = renamed(compiled->to_gbnf())) return *std::move(rules);
  return fail(Errc::invalid_argument, "The grammar has no rule named root; add one.");
}

}  // namespace

bool binds_from_start(const wire::Grammar& grammar) {
  return grammar.kind != wire::GrammarKind::none && grammar.triggers.empty();
}

Result<wire::Grammar> with_reasoning(wire::Grammar grammar, RulesBy author,
                                     std::string_view rendered_prompt) {
  const bool open = chat::ends_in_reasoning(rendered_prompt);
  if (!binds_from_start(grammar) || (!open && ends_closed(rendered_prompt))) return grammar;
  if (grammar.kind == wire::GrammarKind::gbnf && author == RulesBy::caller) {
    if (open) grammar.triggers = {std::string(kClose)};
    return grammar;
  }
  auto rules = HF_TRY(answer_rules(grammar));
  constexpr std::string_view kGoesOn = R"(hf-thought "</think>")";
  constexpr std::string_view kMayCome = R"(( "<think>" hf-thought "</think>" )?)";
  rules +=
      std::format("\n{}root ::= {} hf-space answer\n", kThoughtRules, open ? kGoesOn : kMayCome);
  return wire::Grammar{.kind = wire::GrammarKind::gbnf, .text = std::move(rules)};
}

}  // namespace hf::api
