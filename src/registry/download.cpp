#include "registry/download.hpp"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <format>
#include <optional>
#include <utility>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/digest.hpp"
#include "registry/file_io.hpp"
#include "registry/flat_json.hpp"

namespace hf::registry {
namespace {

// The note beside a partial file; without it nobody knows what the bytes belong to.
struct Origin {
  std::string address = {};
  std::string sha256 = {};
  std::string etag = {};
  std::string last_modified = {};
  std::uint64_t total = 0;
};

std::string origin_name(const std::string& key) {
  return key + ".partial.json";
}

std::optional<Origin> read_origin(const DownloadJob& job) {
  const auto text = read_small_file(job.folder + "/" + origin_name(job.key), 64 * 1024);
  if (!text) return std::nullopt;
  const auto flat = FlatJson::parse(*text);
  if (!flat) return std::nullopt;
  return Origin{.address = flat->text("address"),
                .sha256 = flat->text("sha256"),
                .etag = flat->text("etag"),
                .last_modified = flat->text("last_modified"),
                .total = flat->count("bytes")};
}

Result<void> write_origin(const DownloadJob& job, const Origin& origin) {
  FlatJson flat;
  flat.set("address", origin.address);
  flat.set("sha256", origin.sha256);
  flat.set("etag", origin.etag);
  flat.set("last_modified", origin.last_modified);
  flat.set("bytes", static_cast<std::int64_t>(origin.total));
  return write_atomically(job.folder, origin_name(job.key), flat.write());
}

struct Range {
  std::uint64_t first = 0;
  std::uint64_t total = 0;  // 0: not told.
};

// "bytes 100-199/1000" or "bytes 100-199/*".
std::optional<Range> parse_content_range(std::string_view text) {
  if (!text.starts_with("bytes ")) return std::nullopt;
  text.remove_prefix(6);
  Range range;
  const auto* end = text.data() + text.size();
  if (std::from_chars(text.data(), end, range.first).ec != std::errc()) return std::nullopt;
  const auto slash = text.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  std::from_chars(text.data() + slash + 1, end, range.total);
  return range;
}

class Job {
 public:
  Job(const DownloadJob& job, const HttpSettings& settings, const PullWatch& watch)
      : job_(job),
        settings_(settings),
        watch_(watch),
        path_(partial_path(job.folder, job.key)),
        meter_(watch, {.what = job.what}) {}

  Result<Downloaded> run();

 private:
  Result<void> take_up();
  Result<void> restart();
  Result<void> fetch();
  std::expected<HttpAnswer, HttpFailure> attempt();
  Result<void> on_answer(const HttpAnswer& answer);
  Result<void> on_body(std::string_view bytes);
  Result<void> hash_existing(std::uint64_t bytes);
  Result<bool> ended_before(const HttpAnswer& answer);

  const DownloadJob& job_;
  const HttpSettings& settings_;
  const PullWatch& watch_;
  std::string path_;
  FileHandle file_ = {};
  Origin origin_ = {};
  Sha256 digest_ = {};
  std::uint64_t at_ = 0;  // Bytes in the file, all of them in digest_.
  bool resumed_ = false;  // Some bytes are from an earlier answer.
  bool complete_ = false;
  bool wrong_range_ = false;
  std::string file_digest_ = {};
  SpeedMeter meter_;
};

Result<void> Job::restart() {
  if (::ftruncate(file_.get(), 0) != 0 || ::lseek(file_.get(), 0, SEEK_SET) != 0) {
    return std::unexpected(system_error("write a file", path_, errno));
  }
  digest_ = Sha256();
  at_ = 0;
  resumed_ = false;
  return {};
}

Result<void> Job::hash_existing(std::uint64_t bytes) {
  SpeedMeter meter(watch_, {.phase = Progress::Phase::checking, .what = job_.what});
  meter.start_at(0, bytes);
  HF_TRY_VOID(read_through(file_, path_, [&](std::string_view piece) -> Result<void> {
    if (watch_.cancelled && watch_.cancelled()) {
      return fail(Errc::cancelled, "The pull was stopped; start it again to go on.");
    }
    digest_.update(piece);
    at_ += piece.size();
    meter.add(piece.size());
    return {};
  }));
  if (::lseek(file_.get(), static_cast<off_t>(at_), SEEK_SET) < 0) {
    return std::unexpected(system_error("read a file", path_, errno));
  }
  resumed_ = at_ > 0;
  return {};
}

// Goes on from what an earlier run left, if that is known to be the same file.
Result<void> Job::take_up() {
  const auto bytes = HF_TRY(file_bytes(file_, path_));
  const auto shown = shown_address(job_.address);
  const auto known = read_origin(job_);
  const bool same = known && known->address == shown && known->sha256 == job_.sha256;
  const bool can_tell =
      same && (!known->etag.empty() || !known->last_modified.empty() || !job_.sha256.empty());
  if (!can_tell || (known->total != 0 && bytes > known->total)) {
    origin_ = {.address = shown, .sha256 = job_.sha256};
    return restart();
  }
  origin_ = *known;
  HF_TRY_VOID(hash_existing(bytes));
  complete_ = bytes > 0 && bytes == origin_.total && !job_.sha256.empty();
  return {};
}

Result<void> Job::on_answer(const HttpAnswer& answer) {
  if (answer.status == 416) return {};
  std::uint64_t total = answer.length.value_or(0);
  if (answer.status == 206) {
    const auto range = parse_content_range(answer.content_range);
    if (!range || range->first != at_) {
      wrong_range_ = true;
      return fail(Errc::unavailable, "The server sent another part than asked for; try again.");
    }
    total = range->total;
    resumed_ = at_ > 0;
  } else if (at_ > 0) {
    if (watch_.on_note)
      watch_.on_note(
          std::format("{} starts from the beginning: the server sends it whole.", job_.what));
    HF_TRY_VOID(restart());
  }
  if (job_.bytes != 0 && total != 0 && total != job_.bytes) {
    return fail(Errc::data_corrupt,
                std::format("{} has {} bytes at this source, expected {}; use another source.",
                            job_.what, total, job_.bytes));
  }
  HF_TRY_VOID(check_space(job_.folder, total > at_ ? total - at_ : 0, job_.free_bytes));
  if (!answer.file_digest.empty()) file_digest_ = answer.file_digest;
  origin_.etag = answer.etag.starts_with("W/") ? std::string() : answer.etag;
  origin_.last_modified = answer.last_modified;
  origin_.total = total;
  meter_.start_at(at_, total);
  return write_origin(job_, origin_);
}

Result<void> Job::on_body(std::string_view bytes) {
  if (origin_.total != 0 && bytes.size() > origin_.total - at_) {
    return fail(Errc::unavailable, "The server sent more than it announced; use another source.");
  }
  HF_TRY_VOID(write_all(file_, bytes, path_));
  digest_.update(bytes);
  at_ += bytes.size();
  meter_.add(bytes.size());
  return {};
}

std::expected<HttpAnswer, HttpFailure> Job::attempt() {
  auto headers = job_.headers;
  if (at_ > 0) {
    headers.push_back(std::format("Range: bytes={}-", at_));
    if (!origin_.etag.empty()) {
      headers.push_back("If-Range: " + origin_.etag);
    } else if (!origin_.last_modified.empty()) {
      headers.push_back("If-Range: " + origin_.last_modified);
    }
  }
  return http_get(job_.address, headers, settings_,
                  {.on_answer = [this](const HttpAnswer& answer) { return on_answer(answer); },
                   .on_body = [this](std::string_view bytes) { return on_body(bytes); },
                   .cancelled = watch_.cancelled});
}

// A 416 to a resumed request: either nothing was missing, or the file has shrunk. True when done.
Result<bool> Job::ended_before(const HttpAnswer& answer) {
  const auto star = answer.content_range.rfind('/');
  std::uint64_t total = 0;
  if (star != std::string::npos) {
    const auto* end = answer.content_range.data() + answer.content_range.size();
    std::from_chars(answer.content_range.data() + star + 1, end, total);
  }
  if (at_ > 0 && total == at_) return true;
  HF_TRY_VOID(restart());
  return false;
}

Result<void> Job::fetch() {
  unsigned failures = 0;
  while (!complete_) {
    const bool unknown =
        origin_.etag.empty() && origin_.last_modified.empty() && job_.sha256.empty();
    if (at_ > 0 && unknown) HF_TRY_VOID(restart());
    const auto before = at_;
    auto answer = attempt();
    if (answer && answer->status == 416) {
      complete_ = HF_TRY(ended_before(*answer));
      if (!complete_ && ++failures >= settings_.attempts) {
        return fail(Errc::unavailable, "The server refuses every range; use another source.");
      }
      continue;
    }
    if (answer) {
      complete_ = true;
      continue;
    }
    auto& failure = answer.error();
    if (std::exchange(wrong_range_, false)) {
      HF_TRY_VOID(restart());
      failure.persistence = Persistence::may_pass;
    }
    failures = at_ > before ? 1 : failures + 1;
    // A host that never answered is likely unreachable: do not make anyone wait for the full count.
    const bool silent = failure.status == 0 && at_ == 0;
    const auto attempts = silent ? std::min(settings_.attempts, 3U) : settings_.attempts;
    if (failure.persistence == Persistence::for_good || failures >= attempts) {
      return std::unexpected(failure.error);
    }
    const auto delay = retry_delay(settings_, failures - 1, failure.retry_after);
    if (watch_.on_note) {
      watch_.on_note(
          std::format("{} Trying again at {}.", failure.error.message, human_bytes(at_)));
    }
    HF_TRY_VOID(wait_unless_cancelled(delay, watch_.cancelled));
  }
  return sync_file(file_, path_);
}

Result<Downloaded> Job::run() {
  file_ = HF_TRY(lock_partial(path_, job_.what));
  HF_TRY_VOID(take_up());
  for (int round = 0;; ++round) {
    if (auto fetched = fetch(); !fetched) {
      if (at_ == 0) drop_partial(job_.folder, job_.key);
      return std::unexpected(std::move(fetched).error());
    }
    meter_.show();
    const auto got = digest_.hex();
    if (job_.sha256.empty() || got == job_.sha256) {
      return Downloaded{.path = path_,
                        .sha256 = got,
                        .bytes = at_,
                        .file_digest = file_digest_,
                        .lock = std::move(file_)};
    }
    // A file pieced together from several answers may be wrong though each was right: once more.
    const bool pieced = resumed_;
    if (!pieced || round > 0) {
      drop_partial(job_.folder, job_.key);
      return fail(
          Errc::data_corrupt,
          std::format(
              "{} is not the expected file: its SHA-256 is {}, expected {}; it was removed, "
              "use another source.",
              job_.what, got, job_.sha256));
    }
    if (watch_.on_note)
      watch_.on_note(std::format("{} came out wrong; fetching it from the start.", job_.what));
    HF_TRY_VOID(restart());
    complete_ = false;
  }
}

}  // namespace

void SpeedMeter::start_at(std::uint64_t bytes_done, std::uint64_t bytes_total) {
  progress_.bytes_done = bytes_done;
  progress_.bytes_total = bytes_total;
  bytes_shown_ = bytes_done;
  shown_ = Clock::now();
}

void SpeedMeter::add(std::uint64_t bytes) {
  progress_.bytes_done += bytes;
  if (Clock::now() - shown_ >= std::chrono::milliseconds(100)) show();
}

void SpeedMeter::show() {
  const auto now = Clock::now();
  const double seconds = std::chrono::duration<double>(now - shown_).count();
  if (seconds > 0.02) {
    const auto speed = static_cast<double>(progress_.bytes_done - bytes_shown_) / seconds;
    const double weight = progress_.bytes_per_second <= 0 ? 1 : std::min(1.0, seconds / 3);
    progress_.bytes_per_second += weight * (speed - progress_.bytes_per_second);
    shown_ = now;
    bytes_shown_ = progress_.bytes_done;
  }
  const auto left = progress_.bytes_total - std::min(progress_.bytes_total, progress_.bytes_done);
  const bool known = progress_.bytes_total > 0 && progress_.bytes_per_second > 1;
  progress_.remaining = std::chrono::seconds(
      known ? static_cast<std::int64_t>(static_cast<double>(left) / progress_.bytes_per_second)
            : -1);
  if (watch_.on_progress) watch_.on_progress(progress_);
}

Result<Downloaded> download(const DownloadJob& job, const HttpSettings& settings,
                            const PullWatch& watch) {
  return Job(job, settings, watch).run();
}

Result<void> check_space(
    const std::string& folder, std::uint64_t needed,
    const std::function<Result<std::uint64_t>(const std::string&)>& free_bytes_of) {
  const auto free = HF_TRY(free_bytes_of ? free_bytes_of(folder) : free_bytes(folder));
  if (free >= needed) return {};
  return fail(
      Errc::resource_exhausted,
      std::format(
          "No space: {} are needed, {} are free; free some space or set another models folder.",
          human_bytes(needed), human_bytes(free)),
      folder);
}

Result<FileHandle> lock_partial(const std::string& path, const std::string& what) {
  auto file = HF_TRY(open_file(path, O_RDWR | O_CREAT, "write in the models folder"));
  struct stat opened{};
  struct stat named{};
  // Another name or none by now: the other process finished between open and lock, and the bytes
  // behind this descriptor are a registered model.
  if (::flock(file.get(), LOCK_EX | LOCK_NB) != 0 || ::fstat(file.get(), &opened) != 0 ||
      ::stat(path.c_str(), &named) != 0 || opened.st_ino != named.st_ino) {
    return fail(Errc::failed_precondition,
                std::format("Another process is fetching {}; wait for it or stop it.", what), path);
  }
  return file;
}

std::string partial_path(const std::string& folder, const std::string& key) {
  return std::format("{}/{}.partial", folder, key);
}

void drop_partial(const std::string& folder, const std::string& key) {
  ::unlink(partial_path(folder, key).c_str());
  ::unlink((folder + "/" + origin_name(key)).c_str());
}

}  // namespace hf::registry
