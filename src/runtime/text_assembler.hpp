#pragma once
// Token bytes to deliverable text: whole UTF-8 characters only, stop strings cut out, and what may
// become a stop string held back. A pure function of the tokens fed, so a resumed request can
// replay them. Threads: one per choice.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace hf::runtime {

class TextAssembler {
 public:
  explicit TextAssembler(std::vector<std::string> stop);

  struct Fed {
    std::string text;                             ///< Deliverable now; may be empty.
    std::optional<std::string> stop_string = {};  ///< Found: generation ends, text ends before it.
  };
  /// Adds one token's bytes. Of several stop strings the one that ends first counts, of those the
  /// longest.
  Fed feed(std::string_view bytes);
  /// What was held back, when generation ends otherwise; broken bytes become U+FFFD.
  std::string finish();

 private:
  void take_characters(std::string_view bytes);

  std::vector<std::string> stop_;
  std::string held_ = {};        // Whole characters that may begin a stop string.
  std::string unfinished_ = {};  // Bytes of a character that is not whole yet.
};

}  // namespace hf::runtime
