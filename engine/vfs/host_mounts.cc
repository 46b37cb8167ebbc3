#include "vfs/host_mounts.h"

#include <fstream>
#include <sstream>
#include <string_view>

namespace viewsh {

namespace {

/// Octal escapes of spaces and the like, as the kernel writes them.
std::string unescaped(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 3 < text.size()) {
      out += static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 +
                               (text[i + 3] - '0'));
      i += 3;
    } else {
      out += text[i];
    }
  }
  return out;
}

}  // namespace

std::vector<HostMount> read_host_mounts() {
  std::vector<HostMount> out;
  std::ifstream file("/proc/self/mountinfo");
  std::string line;
  while (std::getline(file, line)) {
    std::istringstream words(line);
    HostMount mount;
    std::string word;
    words >> mount.id >> mount.parent >> mount.device >> mount.root >> mount.at >> mount.options;
    while (words >> word && word != "-") mount.optional += " " + word;
    words >> mount.type >> mount.source;
    std::getline(words, mount.super);
    if (!mount.super.empty()) mount.super.erase(0, 1);
    mount.at = unescaped(mount.at);
    out.push_back(std::move(mount));
  }
  return out;
}

}  // namespace viewsh
