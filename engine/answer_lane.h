#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "syscalls/call.h"
#include "syscalls/session.h"
#include "tracee/lookup_table.h"

namespace viewsh {

/// Tells the processes of a view what file systems that never change (Constant) say of
/// names and of what is open, so that they need not stop for that again: answer_code.cc. All of it
/// ends with each other mount table. What lies in a directory that not everybody may search is not
/// told, so that nothing depends on who asks.
class AnswerLane {
 public:
  AnswerLane(Session* session, SharedLookups* table) : session_(session), table_(table) {}

  /// Can the code in processes answer such calls?
  static bool answers(long nr);
  /// Is it one for the attributes of a name?
  static bool asks_for_name(const Call& call);
  /// The call has led to Call::constant().
  void learn(Call& call);

 private:
  /// A directory by what is open on it.
  using Object = std::pair<uint64_t, uint64_t>;  ///< st_dev, st_ino
  struct Directory {
    std::shared_ptr<const Mount> mount;
    std::string path;  ///< in the mount
    std::string view_path;
    bool listed = false;  ///< what is in it was told
  };

  void begin_round();
  bool is_usable(const Walked& place, const std::string& host);
  bool is_alone(const std::shared_ptr<const Mount>& mount, const std::string& host);
  bool is_open_to_all(const Mount& mount, const std::string& path);
  Directory* directory(Call& call, int fd, Object* object);
  Directory* add_directory(const Walked& place, const Object& object);
  void learn_name(Call& call, int dir, const std::string& text);
  void learn_object(const Walked& place);
  void learn_list(const Walked& place);
  void tell(const Object& object, const std::string& text, const Result<Attr>& attr);

  Session* session_;
  SharedLookups* table_;
  uint64_t round_ = 0;
  std::map<Object, Directory> directories_;
  std::map<std::pair<const Mount*, std::string>, bool> open_to_all_;
  std::map<const Mount*, bool> alone_;
};

}  // namespace viewsh
