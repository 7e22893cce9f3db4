// holdfastd: the server. Reads DATA_FOLDER/holdfast.toml, serves until SIGTERM or SIGINT, then lets
// running requests end (a second signal does not); SIGHUP reads certificate and log file again.
// Exit status: 0 ended as told, 1 failed, 2 wrong usage.
#include <CLI/CLI.hpp>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <thread>

#include <signal.h>
#include <unistd.h>

#include "base/log.hpp"
#include "holdfastd/data_lock.hpp"
#include "holdfastd/process.hpp"
#include "holdfastd/running_server.hpp"
#include "settings/settings.hpp"

namespace hf::daemon {
namespace {

using std::chrono::steady_clock;

constexpr int kFailed = 1;
constexpr int kUsage = 2;
constexpr std::chrono::hours kCertificateCheck{24};
constexpr std::chrono::seconds kTrimEvery{60};

int failed(const Error& error) {
  std::fprintf(stderr, "holdfastd: %s\n", error.message.c_str());
  if (!error.detail.empty()) std::fprintf(stderr, "  (%s)\n", error.detail.c_str());
  return kFailed;
}

/// The next signal, or 0 after `patience`.
int next_signal(const sigset_t& set, std::chrono::milliseconds patience) {
  const auto whole = std::chrono::duration_cast<std::chrono::seconds>(patience);
  const timespec wait{whole.count(), std::chrono::nanoseconds(patience - whole).count()};
  const int number = ::sigtimedwait(&set, nullptr, &wait);
  return number > 0 ? number : 0;
}

void reload(RunningServer& server) {
  if (const auto opened = log::reopen(); !opened) log::failure("log file", opened.error());
  if (const auto read = server.reload_certificate(); !read) {
    log::failure("The certificate stays as it was", read.error());
    return;
  }
  log::info("Certificate and log file read again.");
}

/// Until a signal asks for the end.
void serve(RunningServer& server, const sigset_t& signals) {
  auto certificate_due = steady_clock::now() + kCertificateCheck;
  while (true) {
    switch (next_signal(signals, kTrimEvery)) {
      case SIGTERM:
      case SIGINT: return;
      case SIGHUP: reload(server); break;
      default: trim_memory(); break;
    }
    if (steady_clock::now() < certificate_due) continue;
    certificate_due += kCertificateCheck;
    if (const auto renewed = server.reload_certificate(); !renewed) {
      log::failure("The certificate stays as it was", renewed.error());
    }
  }
}

[[noreturn]] void end_at_once() {
  log::warn("Ended at once by a second signal.");
  ::_exit(kFailed);  // Engines end with their server.
}

/// Returns when everything ended in order; a second signal ends the process.
void drain(RunningServer& server, const sigset_t& signals) {
  constexpr std::chrono::milliseconds kLook{50};
  std::atomic<bool> drained = false;
  std::thread worker([&server, &drained] {
    server.drain();
    drained = true;
  });
  while (!drained) {
    const int number = next_signal(signals, kLook);
    if (number == SIGTERM || number == SIGINT) end_at_once();
  }
  worker.join();
}

int run(const settings::Settings& settings) {
  const auto level = log::parse_level(settings.log.level);
  if (!level) return failed(level.error());
  if (const auto opened = log::start(
          {.level = *level, .file = settings.log.file, .program = "holdfastd"});
      !opened) {
    return failed(opened.error());
  }
  const auto signals = block_signals();
  const auto lock = take_data_folder(settings.data_folder);
  if (!lock) return failed(lock.error());
  auto server = RunningServer::start(settings);
  if (!server) {
    log::failure("The server could not start", server.error());
    return kFailed;
  }
  trim_memory();
  log::info("Holdfast {} is ready at {}{}", HF_VERSION, (*server)->address(),
            (*server)->needs_setup() ? "; make the first key with: holdfast setup-token" : "");
  serve(**server, signals);
  log::info("Ending: no new requests; running ones may end within {} s. A second signal ends at once.",
            settings.server.drain_seconds);
  drain(**server, signals);
  server->reset();
  log::info("Ended.");
  return 0;
}

}  // namespace
}  // namespace hf::daemon

int main(int argc, char** argv) {
  hf::daemon::prepare_process();
  CLI::App app("Holdfast's server");
  app.set_version_flag("--version", HF_VERSION);
  std::string data_folder = hf::settings::default_data_folder();
  bool check_only = false;
  app.add_option("--data-dir", data_folder, "Data folder")->capture_default_str();
  app.add_flag("--check", check_only, "Check the settings and end");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& problem) {
    return app.exit(problem) == 0 ? 0 : hf::daemon::kUsage;
  }
  const auto settings = hf::settings::load(data_folder);
  if (!settings) return hf::daemon::failed(settings.error());
  if (const auto good = hf::daemon::check_settings(*settings); !good) {
    return hf::daemon::failed(good.error());
  }
  if (check_only) {
    std::puts("The settings are good.");
    return 0;
  }
  return hf::daemon::run(*settings);
}
