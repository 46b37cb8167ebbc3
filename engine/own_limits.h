#pragma once

namespace viewsh {

/// The process that keeps a view has files of all its users open: as many as it may. setrlimit(2)
void raise_descriptor_limit();

}  // namespace viewsh
