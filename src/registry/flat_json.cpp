#include "registry/flat_json.hpp"

#include <nlohmann/json.hpp>

namespace hf::registry {

Result<FlatJson> FlatJson::parse(std::string_view text) {
  const auto json = nlohmann::json::parse(text, nullptr, false);
  if (!json.is_object())
    return fail(Errc::data_corrupt, "This is not a JSON object; remove the file.");
  FlatJson flat;
  for (const auto& [name, value] : json.items()) {
    if (value.is_string()) flat.set(name, value.get<std::string>());
    if (value.is_number_integer()) flat.set(name, value.get<std::int64_t>());
  }
  return flat;
}

std::string FlatJson::text(std::string_view name) const {
  for (const auto& [key, value] : fields_) {
    if (key == name && std::holds_alternative<std::string>(value))
      return std::get<std::string>(value);
  }
  return {};
}

std::uint64_t FlatJson::count(std::string_view name) const {
  for (const auto& [key, value] : fields_) {
    if (key != name || !std::holds_alternative<std::int64_t>(value)) continue;
    const auto number = std::get<std::int64_t>(value);
    return number < 0 ? 0 : static_cast<std::uint64_t>(number);
  }
  return 0;
}

std::string FlatJson::write() const {
  nlohmann::ordered_json json = nlohmann::ordered_json::object();
  for (const auto& [name, value] : fields_) {
    std::visit([&json, &key = name](const auto& held) { json[key] = held; }, value);
  }
  return json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace hf::registry
