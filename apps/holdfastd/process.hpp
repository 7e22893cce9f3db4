#pragma once
// What the server asks of the operating system for itself. Call before threads start.

#include <cstdint>

#include <signal.h>

namespace hf::daemon {

/// No core dumps (they would hold prompts and keys), few malloc arenas, no SIGPIPE.
void prepare_process();
/// Raises the limit of open files towards `wanted`; gives what is allowed now.
std::uint64_t raise_open_files(std::uint64_t wanted);
/// Gives memory that is not needed back to the system.
void trim_memory();

/// Blocks the signals the server waits for, in this and all later threads.
sigset_t block_signals();

}  // namespace hf::daemon
