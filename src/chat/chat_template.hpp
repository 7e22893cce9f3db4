#pragma once
// Chat templates (Jinja, by libminja) rendered in a fenced child process, because a template comes
// out of a model file and may loop, recurse or eat memory.

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/result.hpp"

namespace hf::chat {

struct RenderRequest {
  std::string messages_json = {};       ///< Array of OpenAI messages.
  std::string tools_json = {};          ///< Empty or array of OpenAI tools.
  std::string template_args_json = {};  ///< Empty or object of variables (enable_thinking, ...).
  bool add_generation_prompt = true;
};

struct FenceOptions {
  /// Per render; large requests get 100 ms more for each MiB.
  std::chrono::milliseconds timeout{2000};
  /// For starting the child and parsing the template.
  std::chrono::milliseconds start_timeout{10'000};
  std::uint64_t memory_bytes_max = std::uint64_t{512} << 20U;
  std::uint64_t output_bytes_max = std::uint64_t{64} << 20U;
  /// After so many overruns one after another the template is refused for good; 0: never. Requests
  /// above 256 KiB do not count, since there the request may be at fault.
  std::uint32_t failures_max = 3;
};

/// Renders in this process, unfenced; used by the child and by tests. Content arrays of text parts
/// become strings where the template wants strings. Templates that know no tools get them through
/// `with_tools_in_prompt`. Threads: one at a time.
class TemplateRenderer {
 public:
  /// Errors: invalid_argument, the template does not parse.
  static Result<std::unique_ptr<TemplateRenderer>> open(const std::string& source,
                                                        const std::string& bos_text,
                                                        const std::string& eos_text);
  virtual ~TemplateRenderer() = default;
  /// Errors: invalid_argument, bad JSON or the template refuses these messages (its own words).
  virtual Result<std::string> render(const RenderRequest& request) = 0;
};

/// The child finds its socket here.
inline constexpr int kRenderChildDescriptor = 0;

/// Renders in a child process: `program` run with `arguments` and no environment, which must end up
/// in `render_child_main(kRenderChildDescriptor)` before it starts threads or opens anything. A
/// child that overruns its fence is killed; the next render starts another.
/// Threads: any; renders queue behind each other. Blocks for the render.
class FencedRenderer {
 public:
  /// Starts the child and parses the template there.
  /// Errors: invalid_argument, the template does not parse; unavailable, the program cannot be run;
  /// deadline_exceeded or failed_precondition, parsing overran the fence.
  static Result<std::unique_ptr<FencedRenderer>> open(
      std::string program, std::vector<std::string> arguments, const std::string& source,
      const std::string& bos_text, const std::string& eos_text, FenceOptions options = {});
  virtual ~FencedRenderer() = default;
  /// Errors: as TemplateRenderer; deadline_exceeded or failed_precondition if the template itself
  /// overran time, memory or stack ("The model's chat template ...").
  virtual Result<std::string> render(const RenderRequest& request) = 0;
  /// The running child, for tests and diagnosis; 0: none.
  [[nodiscard]] virtual int child() const = 0;
};

/// The child's main loop on the socket `descriptor`; returns the exit status.
int render_child_main(int descriptor);

}  // namespace hf::chat
