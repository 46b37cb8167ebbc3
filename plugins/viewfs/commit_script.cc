#include "commit_script.h"

#include <sys/stat.h>

#include <algorithm>
#include <ctime>
#include <set>

#include "cow_host.h"

namespace viewsh::viewfs {
namespace {

/// In single quotes, where nothing is special to a shell but the quote itself.
std::string quoted(const std::string& text) {
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

/// A path below the directory in which the script runs; never an option.
std::string at(const std::string& path) { return quoted(path.empty() ? "." : "./" + path); }

std::string octal(uint32_t mode) {
  char text[16];
  snprintf(text, sizeof text, "%04o", mode & 07777u);
  return text;
}

std::string time_text(const FileTime& time) {
  const auto seconds = static_cast<time_t>(time.sec);
  tm parts{};
  gmtime_r(&seconds, &parts);
  char date[64];
  strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &parts);
  char text[96];
  snprintf(text, sizeof text, "%s.%09uZ", date, static_cast<unsigned>(time.nsec));
  return text;
}

class Writer {
 public:
  Writer(const LayerView& view, const CommitPlan& plan) : view_(view), plan_(plan) {}

  std::string run() {
    out_ =
        "#!/bin/sh\n# The changes of a layer; extended attributes and ACLs are not among them.\n";
    out_ += "set -eu\ncd " + quoted(view_.layer->lower()) + "\n";
    for (const TouchedDir& d : plan_.record.dirs) {
      if (d.loosen) line("chmod u+rwx " + at(d.path));
    }
    for (const LockedUpper& l : plan_.record.locked) locked_.insert(l.path);
    for (const InPlace& in : plan_.record.in_place) in_place(in);
    early();
    renames();
    links();
    for (const Trash& t : plan_.record.trash) {
      if (gone_.count(join(t.dir, t.name)) == 0 && !is_backup(t)) {
        line("rm -rf " + at(join(t.dir, t.name)));
      }
    }
    directories();
    return std::move(out_);
  }

 private:
  void line(const std::string& text) { out_ += text + "\n"; }
  std::string upper(const std::string& path) const { return quoted(view_.upper_host(path)); }
  bool is_backup(const Trash& t) const {
    const auto& all = plan_.record.in_place;
    return std::any_of(all.begin(), all.end(),
                       [&](const InPlace& in) { return in.backup == t.name; });
  }

  void times(const Attributes& a, const std::string& path, const char* flags = "") {
    line(std::string("touch ") + flags + "-m -d " + time_text(a.mtime) + " " + path);
  }

  void in_place(const InPlace& in) {
    if (!in.upper.empty() && (in.before.mode & S_IWUSR) == 0) line("chmod u+w " + at(in.path));
    if (!in.upper.empty()) line("cp " + upper(in.upper) + " " + at(in.path));
    if (in.after.uid != in.before.uid || in.after.gid != in.before.gid) {
      line("chown -h " + std::to_string(in.after.uid) + ":" + std::to_string(in.after.gid) + " " +
           at(in.path));
    }
    const uint32_t extra = S_ISDIR(in.after.mode) ? S_IRWXU : 0u;
    const bool opened = !in.upper.empty() && (in.before.mode & S_IWUSR) == 0;
    if (in.after.mode != in.before.mode || opened) {
      line("chmod " + octal(in.after.mode | extra) + " " + at(in.path));
    }
    if (!S_ISDIR(in.after.mode)) times(in.after, at(in.path), S_ISLNK(in.after.mode) ? "-h " : "");
  }

  bool has_kept(size_t number) const {
    for (size_t i = number; i < plan_.items[number].end; ++i) {
      if (plan_.items[i].from == Item::From::kKept) return true;
    }
    return false;
  }

  /// What becomes another name of a file of the lower is linked while that has its old name.
  void early() {
    for (size_t i = 0; i < plan_.items.size(); ++i) {
      const Item& item = plan_.items[i];
      if (item.dir == nullptr) continue;
      tops_[plan_.record.temp_name(item.temp)] = i;
      if (has_kept(i)) make(i, join(item.dir->lower, plan_.record.temp_name(item.temp)));
    }
  }

  void make(size_t number, const std::string& path) {
    const Item& item = plan_.items[number];
    const Attributes want = attributes_of(item.attr);
    if (S_ISDIR(want.mode)) {
      line("mkdir " + at(path));
      for (size_t i = number + 1; i < item.end; i = plan_.items[i].end) {
        if (plan_.items[i].dir == nullptr) make(i, join(path, plan_.items[i].name));
      }
      dirs_.emplace_back(item.path, want);
    } else if (item.from == Item::From::kKept) {
      line("ln " + at(item.kept) + " " + at(path));
    } else if (item.from == Item::From::kItem) {
      links_.push_back(number);
    } else if (S_ISREG(want.mode)) {
      const bool locked = locked_.count(item.path) != 0;
      if (locked) line("chmod u+r " + upper(item.path));
      line("cp -p " + upper(item.path) + " " + at(path));
      if (locked) line("chmod u-r " + upper(item.path));
      line("chmod " + octal(want.mode) + " " + at(path));
    } else if (S_ISLNK(want.mode)) {
      const auto target = read_link(view_.layer->upper_fd(), item.path);
      line("ln -s -- " + quoted(target ? *target : "") + " " + at(path));
      times(want, at(path), "-h ");
    } else {
      if (S_ISFIFO(want.mode)) {
        line("mkfifo -m " + octal(want.mode) + " " + at(path));
      } else {
        line("echo " + quoted(item.path + ": neither file nor FIFO") + " >&2; exit 1");
      }
      times(want, at(path));
    }
  }

  /// What leaves its name: at once, unless something is still to be moved out of it.
  void leave(const std::string& path, const std::string& temp, const Object* object) {
    if (just_goes(object)) {
      line("rm -rf " + at(path));
      gone_.insert(temp);
    } else {
      line("mv " + at(path) + " " + at(temp));
    }
  }

  /// Nothing is to be moved out of it.
  static bool just_goes(const Object* object) { return object->trash && !object->changed; }

  /// Something new comes to a name, in the place of what is there, if anything.
  void come(const Rename& r, const Object* old) {
    const std::string temp = join(r.from_dir, r.from_name);
    const std::string name = join(r.to_dir, r.to_name);
    const size_t item = tops_.at(r.from_name);
    const bool early = has_kept(item);
    const bool kept = old != nullptr && !just_goes(old);
    const std::string aside = early ? temp + "-old" : temp;
    if (kept) line("mv " + at(name) + " " + at(aside));
    if (old != nullptr && !kept) leave(name, temp, old);
    if (early) line("mv " + at(temp) + " " + at(name));
    if (early && kept) line("mv " + at(aside) + " " + at(temp));
    if (!early) make(item, name);
  }

  void renames() {
    for (size_t i = 0; i < plan_.record.renames.size(); ++i) {
      const Rename& r = plan_.record.renames[i];
      const std::string from = join(r.from_dir, r.from_name);
      const std::string to = join(r.to_dir, r.to_name);
      if (r.kind == Rename::Kind::kPlace) {
        line("mv " + at(from) + " " + at(to));
      } else if (r.kind == Rename::Kind::kAside) {
        leave(from, to, plan_.renames[i].what);
      } else {
        come(r, plan_.renames[i].old);
      }
    }
  }

  /// Names of what was made, all in their places now.
  void links() {
    for (const size_t number : links_) {
      const Item& item = plan_.items[number];
      line("ln " + at(plan_.items[item.other].path) + " " + at(item.path));
    }
  }

  void directories() {
    for (const Finish& f : plan_.record.finish) dirs_.emplace_back(f.path, f.attributes);
    std::stable_sort(dirs_.begin(), dirs_.end(), [](const auto& a, const auto& b) {
      return std::count(a.first.begin(), a.first.end(), '/') >
             std::count(b.first.begin(), b.first.end(), '/');
    });
    for (const auto& [path, want] : dirs_) {
      times(want, at(path));
      line("chmod " + octal(want.mode) + " " + at(path));
    }
  }

  const LayerView& view_;
  const CommitPlan& plan_;
  std::string out_;
  std::map<std::string, size_t> tops_;
  std::set<std::string> locked_;
  std::set<std::string> gone_;
  std::vector<size_t> links_;
  std::vector<std::pair<std::string, Attributes>> dirs_;
};

}  // namespace

std::string write_script(const LayerView& view, const CommitPlan& plan) {
  return Writer(view, plan).run();
}

}  // namespace viewsh::viewfs
