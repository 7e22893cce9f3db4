#include <algorithm>
#include <array>
#include <utility>

#include "api/service.hpp"

namespace hf::api {
namespace {

constexpr auto kPermissions = std::to_array<std::pair<Permission, std::string_view>>({
    {Permission::open, "open"},
    {Permission::infer, "infer"},
    {Permission::models, "models"},
    {Permission::metrics, "metrics"},
    {Permission::keys, "keys"},
});

constexpr auto kPriorities = std::to_array<std::pair<wire::Priority, std::string_view>>({
    {wire::Priority::interactive, "interactive"},
    {wire::Priority::normal, "normal"},
    {wire::Priority::batch, "batch"},
});

template <class Table>
std::optional<typename Table::value_type::first_type> named(const Table& table,
                                                            std::string_view name) {
  const auto found = std::ranges::find(table, name, [](const auto& row) { return row.second; });
  if (found == table.end()) return std::nullopt;
  return found->first;
}

template <class Table, class Value>
std::string_view name_in(const Table& table, Value value) {
  const auto found = std::ranges::find(table, value, [](const auto& row) { return row.first; });
  return found == table.end() ? std::string_view() : found->second;
}

}  // namespace

std::string_view to_string(Permission permission) { return name_in(kPermissions, permission); }

std::optional<Permission> parse_permission(std::string_view name) {
  const auto found = named(kPermissions, name);
  return found == Permission::open ? std::nullopt : found;  // Not for keys to have.
}

std::string_view priority_name(wire::Priority priority) { return name_in(kPriorities, priority); }

std::optional<wire::Priority> parse_priority(std::string_view name) {
  return named(kPriorities, name);
}

}  // namespace hf::api
