#pragma once

#include <array>
#include <functional>
#include <string>
#include <vector>

#include "access_record.h"
#include "syscalls/call.h"
#include "syscalls/table.h"

namespace viewsh {

/// Writes down what the trapped calls of a run use. It sees a call twice: when its handler has
/// decided, where it may ask for the result, and when the call is really made. What is looked at,
/// read or executed counts if it is there, whatever the result: who may not open a file has to find
/// it there, too. What is made or changed counts if the call succeeds.
class Observer {
 public:
  explicit Observer(AccessRecord* record);

  /// Something to be written down.
  struct Sight {
    std::string path;
    unsigned how = 0;
    NodeType type = NodeType::kUnknown;
    bool exists = false;
  };
  struct Seen {
    std::vector<Sight> sights;
    std::vector<std::pair<std::string, std::string>> links;
    std::vector<Endpoint> endpoints;
    uint64_t program = 0;
    bool again = false;  ///< the call was counted before
  };
  /// The call's handler has decided. Adds to the outcome what has to be heard at the end.
  Seen look(Call& call, const Row& row, Outcome* outcome);
  /// The call is made.
  void keep(const Seen& seen);
  /// A task runs another program now.
  void on_exec() { record_->started = true; }

 private:
  enum class Kind : uint8_t {
    kLook,
    kOpen,
    kCreat,
    kOpenat2,
    kExec,
    kEnter,
    kList,
    kMake,
    kRemove,
    kMove,
    kLink,
    kWrite,
    kChange,
    kConnect,
    kSend,
    kSendMessage,
    kBind
  };
  struct Named {
    std::string_view name;
    Kind kind;
  };
  static const Named kKinds[];

  bool knows(const std::string& path, unsigned how) const;
  Sight sight_of(const Visit& visit, const FsContext& fs) const;
  void add_visits(Call& call, Access how, Seen* seen) const;
  void look_at_open(Call& call, Kind kind, Seen* seen, Outcome* outcome);
  void look_at_change(Kind kind, Seen* seen, Outcome* outcome);
  void look_at_peer(Call& call, Kind kind, Seen* seen, Outcome* outcome);
  void when_done(Seen later, Outcome* outcome, std::function<bool(long)> good);
  uint64_t bit_of(const std::string& exe);

  AccessRecord* record_;
  std::vector<Kind> by_number_;
};

}  // namespace viewsh
