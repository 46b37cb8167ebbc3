#include "cli/commit_pick.h"

#include <unistd.h>

#include <cstdio>
#include <optional>

#include "base/path.h"
#include "cli/change_text.h"
#include "cli/patch.h"
#include "cli/terminal.h"
#include "cli/text.h"

namespace viewsh {
namespace {

constexpr const char* kHelp =
    "y - commit this change\n"
    "n - leave it in the layer\n"
    "a - commit it and the rest of its directory\n"
    "d - leave it and the rest of its directory in the layer\n"
    "q - leave it and all that is left in the layer; commit what was chosen\n"
    "p - show it as a patch\n"
    "? - this text\n";

bool is_below(const std::string& path, const std::string& dir) {
  return dir == "/" ||
         (path.size() > dir.size() && path.rfind(dir, 0) == 0 && path[dir.size()] == '/');
}

class Picker {
 public:
  explicit Picker(Picked* picked) : picked_(*picked) {}

  UserError run(const std::vector<Change>& changes) {
    bool colour = colour_wanted(STDERR_FILENO);
    for (size_t i = 0; i < changes.size(); ++i) {
      const Change& change = changes[i];
      std::optional<bool> known = decided(change);
      if (!known) {
        std::string text = change_line(change, colour) + "\n(" + std::to_string(i + 1) + "/" +
                           std::to_string(changes.size()) + ") Commit this [y,n,a,d,q,p,?]? ";
        UserError error = answer(change, text, &known);
        if (error) return error;
      }
      (*known ? picked_.yes : picked_.no).push_back(change);
      bool stays = !*known && change.type == NodeType::kDirectory &&
                   (change.kind != Change::Kind::kChanged || change.content);
      if (stays) left_ = change.path;
    }
    return {};
  }

 private:
  std::optional<bool> decided(const Change& change) {
    if (quit_) return false;
    if (!left_.empty() && is_below(change.path, left_)) return false;
    if (!rest_of_.empty() && is_below(change.path, rest_of_)) return rest_;
    rest_of_.clear();
    return {};
  }

  UserError answer(const Change& change, const std::string& text, std::optional<bool>* known) {
    while (!*known) {
      const Reply reply = ask(text);
      picked_.signal = reply.signal;
      const bool over = reply.end || reply.signal != 0;
      switch (const char letter = over ? 'q' : reply.letter) {
        case 'y':
        case 'n':
          *known = letter == 'y';
          break;
        case 'a':
        case 'd':
          rest_ = letter == 'a';
          rest_of_ = parent_path(change.path);
          *known = rest_;
          break;
        case 'q':
          quit_ = true;
          *known = false;
          break;
        case 'p': {
          fflush(stdout);
          UserError error = write_patch({change}, STDERR_FILENO, colour_wanted(STDERR_FILENO));
          if (error) return error;
          break;
        }
        default:
          fputs(kHelp, stderr);
      }
    }
    return {};
  }

  Picked& picked_;
  std::string left_;     ///< a directory that stays, with all that is in it
  std::string rest_of_;  ///< a directory of which the rest is decided
  bool rest_ = false;
  bool quit_ = false;
};

}  // namespace

UserError pick_changes(const std::vector<Change>& changes, Picked* picked) {
  return Picker(picked).run(changes);
}

}  // namespace viewsh
