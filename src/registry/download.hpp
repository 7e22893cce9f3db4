#pragma once
// One file over HTTP into `<folder>/<key>.partial`, resumed wherever it stopped: in this call, in
// an earlier process, or when that was killed. Used by pull. Any thread; one download of a key at a
// time.

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "registry/file_io.hpp"
#include "registry/http_client.hpp"

namespace hf::registry {

/// One moment of a pull, for showing.
struct Progress {
  enum class Phase : unsigned char { fetching, checking, unpacking };
  Phase phase = Phase::fetching;
  std::string what = {};  ///< File name, with "(2 of 5)" where there are several.
  std::uint64_t bytes_done = 0;
  std::uint64_t bytes_total = 0;       ///< 0: not known.
  double bytes_per_second = 0;         ///< Over the last seconds; 0: not known yet.
  std::chrono::seconds remaining{-1};  ///< Negative: not known.
};

/// What a pull tells and asks; every function may be empty. Called on the pulling thread.
struct PullWatch {
  std::function<void(const Progress&)> on_progress = {};  ///< At most 10 times a second.
  std::function<void(const std::string&)> on_note = {};   ///< One sentence to show.
  std::function<bool()> cancelled = {};
};

/// Turns byte counts into Progress, with the speed smoothed over about three seconds.
class SpeedMeter {
 public:
  SpeedMeter(const PullWatch& watch, Progress progress)
      : watch_(watch), progress_(std::move(progress)) {}
  void start_at(std::uint64_t bytes_done, std::uint64_t bytes_total);
  void add(std::uint64_t bytes);
  /// Shows the state now, however recent the last one is.
  void show();

 private:
  using Clock = std::chrono::steady_clock;
  const PullWatch& watch_;
  Progress progress_;
  Clock::time_point shown_ = Clock::now();
  std::uint64_t bytes_shown_ = 0;
};

struct DownloadJob {
  std::string folder = {};
  std::string key = {};      ///< File name without ".partial".
  std::string address = {};  ///< May hold user and password; they are stored nowhere.
  std::vector<std::string> headers = {};
  std::string sha256 = {};  ///< Expected; empty: not known.
  std::uint64_t bytes = 0;  ///< Expected; 0: not known.
  std::string what = {};
  /// Free bytes in the folder; empty: asks the file system.
  std::function<Result<std::uint64_t>(const std::string&)> free_bytes = {};
};

struct Downloaded {
  std::string path = {};  ///< The complete ".partial" file.
  std::string sha256 = {};
  std::uint64_t bytes = 0;
  std::string file_digest = {};  ///< As a model hub names it; may be empty.
  FileHandle lock = {};  ///< Keeps other processes off the file until it is renamed or dropped.
};

/// Errors: resource_exhausted, no space, with both numbers; data_corrupt, the digest is wrong (the
/// partial file is removed); failed_precondition, another process fetches the same; those of
/// http_get. On all others the partial file stays for the next call.
Result<Downloaded> download(const DownloadJob& job, const HttpSettings& settings,
                            const PullWatch& watch);

/// Errors: resource_exhausted unless `needed` bytes fit, with both numbers.
Result<void> check_space(
    const std::string& folder, std::uint64_t needed,
    const std::function<Result<std::uint64_t>(const std::string&)>& free_bytes);
/// Opens or makes a partial file for this process alone; closing it lets others in.
/// Errors: failed_precondition, another process has it.
Result<FileHandle> lock_partial(const std::string& path, const std::string& what);
std::string partial_path(const std::string& folder, const std::string& key);
/// The partial file and the note of its origin.
void drop_partial(const std::string& folder, const std::string& key);

}  // namespace hf::registry
