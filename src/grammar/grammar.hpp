#pragma once
// Constrained output: a grammar over bytes, matched token by token. Compile once per request text
// (cached by the caller's hash), match per sequence. No dependency on any model runtime.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "wire/messages.hpp"

namespace hf::grammar {

using wire::Token;

struct Limits {
  std::size_t source_bytes_max = std::size_t{1} << 20U;
  std::size_t rules_max = 20'000;
  std::size_t elements_max = 500'000;
  std::size_t depth_max = 256;          ///< Nesting in a schema, a regex or GBNF groups.
  std::size_t repeat_max = 10'000;      ///< {m,n} and maxItems/maxLength.
  std::size_t stacks_max = 20'000;      ///< Parse states held at once by one matcher.
};

/// Immutable and shared between threads.
class Grammar {
 public:
  virtual ~Grammar() = default;
  /// GBNF text of what was compiled (for `holdfast` tools and tests).
  [[nodiscard]] virtual std::string to_gbnf() const = 0;
};

/// Compiles any kind but none. Errors: invalid_argument with the place (JSON pointer or offset) and
/// what to change. Never crashes or loops on any input.
Result<std::shared_ptr<const Grammar>> compile(const wire::Grammar& source, const Limits& limits = {});

/// JSON Schema to GBNF rules; the start rule is named `root_name`. Used to build tool-call grammars.
Result<std::string> schema_to_gbnf(std::string_view schema_json, std::string_view root_name,
                                   const Limits& limits = {});

/// The vocabulary as bytes, with a trie over them. Built once per model; immutable.
class TokenTable {
 public:
  /// `pieces[t]`: bytes of token t; empty: the token is never allowed inside a grammar (control
  /// tokens). `end_tokens`: allowed exactly where the grammar may end.
  TokenTable(std::vector<std::string> pieces, std::vector<Token> end_tokens);
  ~TokenTable();
  TokenTable(TokenTable&&) noexcept;
  [[nodiscard]] std::size_t vocabulary() const;

  struct Trie;
  [[nodiscard]] const Trie& trie() const { return *trie_; }

 private:
  std::unique_ptr<Trie> trie_;
};

/// One sequence's place in a grammar. Threads: one.
class Matcher {
 public:
  virtual ~Matcher() = default;
  /// True if this token may come next. Cost: O(bytes of the token x parse states).
  virtual bool allows(Token token) = 0;
  /// Goes on over the token. Errors: invalid_argument, not allowed; nothing changed then.
  virtual Result<void> accept(Token token) = 0;
  /// Text instead of a token (the part after a trigger inside one token, replay).
  virtual Result<void> accept_bytes(std::string_view bytes) = 0;
  /// One bit per token, [ceil(vocabulary / 64)] words; computed by walking the trie, cached per
  /// grammar and parse state. Valid until the next call.
  virtual std::span<const std::uint64_t> mask() = 0;
  /// The text so far is a whole sentence; the end tokens are allowed.
  [[nodiscard]] virtual bool can_end() const = 0;
  /// Nothing but the end may follow.
  [[nodiscard]] virtual bool must_end() const = 0;
  /// A copy at the same place (n > 1, speculation).
  [[nodiscard]] virtual std::unique_ptr<Matcher> clone() const = 0;
};

/// `tokens` must outlive the matcher.
std::unique_ptr<Matcher> make_matcher(std::shared_ptr<const Grammar> grammar, const TokenTable& tokens,
                                      const Limits& limits = {});

}  // namespace hf::grammar
