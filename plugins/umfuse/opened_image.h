#pragma once

#include "image.h"

namespace viewsh {

/// An image that has to know which of its files are open: a server's.
class OpenedImage {
 public:
  virtual ~OpenedImage() = default;
  /// A task opens a regular file, with `flags` of open(2), which the image may refuse. True: what
  /// was read of its content before may be wrong now.
  virtual Result<bool> opens(NodeId node, int flags) = 0;
  /// A descriptor of it is closed; close(2) has this error.
  virtual Result<void> flush(NodeId node) = 0;
  /// Nobody has it open any more.
  virtual void closed(NodeId node) = 0;
  /// What is known of the attributes says that the content isn't the one that was read last.
  virtual bool content_changed(NodeId node) = 0;
};

}  // namespace viewsh
