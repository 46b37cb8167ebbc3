#include "commit_script.h"

#include <sys/stat.h>

#include <algorithm>
#include <ctime>
#include <optional>
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

  Result<std::string> run() {
    out_ =
        "#!/bin/sh\n# The changes of a layer. Nothing is done if what they change isn't any more\n";
    out_ +=
        "# what it was when this was written.\nset -eu\ncd " + quoted(view_.layer->lower()) + "\n";
    functions();
    for (const TouchedDir& d : plan_.record.dirs) {
      if (d.loosen) line("chmod u+rwx " + at(d.path));
    }
    checks();
    for (const LockedUpper& l : plan_.record.locked) locked_.insert(l.path);
    for (const InPlace& in : plan_.record.in_place) in_place(in);
    early();
    renames();
    links();
    for (const Trash& t : plan_.record.trash) {
      if (gone_.count(join(t.dir, t.name)) == 0) line("rm -rf " + at(join(t.dir, t.name)));
    }
    directories();
    if (failed_) return *failed_;
    return std::move(out_);
  }

 private:
  void line(const std::string& text) { out_ += text + "\n"; }
  std::string upper(const std::string& path) const { return quoted(view_.upper_host(path)); }
  void functions() {
    line("changed() {");
    line("  printf '%s: was changed after this script was written\\n' \"$1\" >&2");
    const auto& dirs = plan_.record.dirs;
    for (auto d = dirs.rbegin(); d != dirs.rend(); ++d) {
      if (d->loosen) line("  chmod " + octal(d->before.mode) + " " + at(d->path));
    }
    line("  exit 1\n}");
    line("same() { [ \"$(stat -c \"$3\" -- \"$1\" 2>&1)\" = \"$2\" ] || changed \"$1\"; }");
    line("free() { [ ! -e \"$1\" ] && [ ! -L \"$1\" ] || changed \"$1\"; }");
    line("keeps() { command -v setfattr >/dev/null || {");
    line("  echo 'setfattr: is needed, and not installed' >&2\n  exit 1\n}; }");
  }

  void same(const std::string& path, const Stamp& then) {
    char type[16];
    snprintf(type, sizeof type, "%x", then.mode);
    const bool dir = S_ISDIR(then.mode);
    const std::string size = dir ? "" : std::to_string(then.size) + " ";
    line("same " + at(path) + " '" + type + " " + size + seconds(then.mtime) + "' '%f " +
         (dir ? "" : "%s ") + "%.9Y'");
  }

  /// As stat(1) writes %.9Y, which rounds down.
  static std::string seconds(const FileTime& time) {
    constexpr uint32_t kSecond = 1000000000;
    uint32_t rest = time.nsec;
    int64_t whole = time.sec;
    const bool below = whole < 0 && rest != 0;
    if (below) rest = kSecond - rest, ++whole;
    char text[64];
    snprintf(text, sizeof text, "%s%lld.%09lld", below && whole == 0 ? "-" : "",
             static_cast<long long>(whole), static_cast<long long>(rest));
    return text;
  }

  /// What is changed is what the conflict check saw.
  void checks() {
    bool xattrs = false;
    for (const InPlace& in : plan_.record.in_place) {
      Stamp then = in.stamp;
      then.mode = in.before.mode | (is_loosened(in.path) ? S_IRWXU : 0u);
      if (!S_ISDIR(then.mode)) same(in.path, then);
      xattrs = xattrs || in.xattrs_after != in.xattrs_before;
    }
    for (size_t i = 0; i < plan_.record.renames.size(); ++i) {
      const Rename& r = plan_.record.renames[i];
      const Object* old =
          r.kind == Rename::Kind::kAside ? plan_.renames[i].what : plan_.renames[i].old;
      if (r.kind == Rename::Kind::kIn) line("free " + at(join(r.to_dir, r.to_name)));
      if (r.kind == Rename::Kind::kPlace || old == nullptr) continue;
      Stamp then = stamp_of(old->attr);
      if (is_loosened(old->lower)) then.mode |= S_IRWXU;
      same(old->lower, then);
    }
    for (const Item& item : plan_.items) xattrs = xattrs || !xattrs_of(item).empty();
    if (xattrs) line("keeps");
  }

  bool is_loosened(const std::string& path) const {
    const auto& dirs = plan_.record.dirs;
    return std::any_of(dirs.begin(), dirs.end(),
                       [&](const TouchedDir& d) { return d.loosen && d.path == path; });
  }

  InPlace::Xattrs xattrs_of(const Item& item) {
    const bool own = item.from == Item::From::kUpper && !S_ISLNK(item.attr.stx_mode);
    if (!own) return {};
    const PathAt at(view_.layer->upper_fd(), item.path);
    auto known = read_own_xattrs_at(at.dir(), at.name());
    if (!known) failed_ = known.error();
    return known ? std::move(*known) : InPlace::Xattrs();
  }

  /// Extended attributes, ACLs among them. The mode must let the owner write; it is set later.
  void xattrs(const InPlace::Xattrs& had, const InPlace::Xattrs& gets, const std::string& path) {
    if (had == gets) return;
    line("chmod u+rw " + path);
    for (const auto& [name, value] : had) {
      if (gets.count(name) == 0) line("setfattr -x " + quoted(name) + " " + path);
    }
    for (const auto& [name, value] : gets) {
      const auto old = had.find(name);
      if (old != had.end() && old->second == value) continue;
      std::string hex = "0x";
      for (const char c : value) {
        char digits[3];
        snprintf(digits, sizeof digits, "%02x", static_cast<unsigned char>(c));
        hex += digits;
      }
      if (value.empty()) hex = "''";
      line("setfattr -n " + quoted(name) + " -v " + hex + " " + path);
    }
  }

  void times(const Attributes& a, const std::string& path, const char* flags = "") {
    line(std::string("touch ") + flags + "-m -d " + time_text(a.mtime) + " " + path);
  }

  void in_place(const InPlace& in) {
    if (!in.upper.empty() && (in.before.mode & S_IWUSR) == 0) line("chmod u+w " + at(in.path));
    if (!in.upper.empty()) {
      // Should it stop in the middle, what was there is here; in the end it goes with the trash.
      line("cp -p " + at(in.path) + " " + at(join(parent_of(in.path), in.backup)));
      line("cp " + upper(in.upper) + " " + at(in.path));
    }
    const bool marked = in.with_xattrs && in.xattrs_after != in.xattrs_before;
    if (marked) xattrs(in.xattrs_before, in.xattrs_after, at(in.path));
    if (in.after.uid != in.before.uid || in.after.gid != in.before.gid) {
      line("chown -h " + std::to_string(in.after.uid) + ":" + std::to_string(in.after.gid) + " " +
           at(in.path));
    }
    const uint32_t extra = S_ISDIR(in.after.mode) ? S_IRWXU : 0u;
    const bool opened = marked || (!in.upper.empty() && (in.before.mode & S_IWUSR) == 0);
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
      xattrs({}, xattrs_of(item), at(path));
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
      xattrs({}, xattrs_of(item), at(path));
      line("chmod " + octal(want.mode) + " " + at(path));
    } else if (S_ISLNK(want.mode)) {
      const auto target = read_link(view_.layer->upper_fd(), item.path);
      line("ln -s -- " + quoted(target ? *target : "") + " " + at(path));
      times(want, at(path), "-h ");
    } else {
      if (S_ISFIFO(want.mode)) {
        line("mkfifo -m " + octal(want.mode) + " " + at(path));
        const InPlace::Xattrs own = xattrs_of(item);
        xattrs({}, own, at(path));
        if (!own.empty()) line("chmod " + octal(want.mode) + " " + at(path));
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
      line("mv -T " + at(path) + " " + at(temp));
    }
  }

  /// Nothing is to be moved out of it.
  static bool just_goes(const Object* object) { return object->trash && !object->changed; }

  /// Something new comes to a name, in the place of what is there, if anything.
  void come(const Rename& r, const Object* old) {
    const std::string temp = join(r.from_dir, r.from_name);
    const std::string name = join(r.to_dir, r.to_name);
    const size_t item = tops_.at(r.from_name);
    // It is there before what it replaces goes.
    if (!has_kept(item)) make(item, temp);
    const bool linked = plan_.items[item].from == Item::From::kItem;  // made in the end
    const bool dirs =
        old != nullptr && (S_ISDIR(old->attr.stx_mode) || S_ISDIR(plan_.items[item].attr.stx_mode));
    if (linked && old != nullptr && (dirs || !just_goes(old))) {
      line("mv -T " + at(name) + " " + at(temp));
      return;
    }
    if (old == nullptr || (just_goes(old) && !dirs)) {
      if (!linked) line("mv -fT " + at(temp) + " " + at(name));
      gone_.insert(temp);
      return;
    }
    line("mv -T " + at(name) + " " + at(temp + "-old"));
    line("mv -T " + at(temp) + " " + at(name));
    line("mv -T " + at(temp + "-old") + " " + at(temp));
  }

  void renames() {
    for (size_t i = 0; i < plan_.record.renames.size(); ++i) {
      const Rename& r = plan_.record.renames[i];
      const std::string from = join(r.from_dir, r.from_name);
      const std::string to = join(r.to_dir, r.to_name);
      if (r.kind == Rename::Kind::kPlace) {
        line("mv -T " + at(from) + " " + at(to));
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
      const std::string other = at(plan_.items[item.other].path);
      if (item.dir == nullptr) {
        line("ln " + other + " " + at(item.path));
        continue;
      }
      const std::string temp =
          at(join(parent_of(item.path), plan_.record.temp_name(item.temp) + "-new"));
      line("ln " + other + " " + temp);
      line("mv -fT " + temp + " " + at(item.path));
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
  std::optional<Errno> failed_;  ///< something couldn't be looked at
  std::map<std::string, size_t> tops_;
  std::set<std::string> locked_;
  std::set<std::string> gone_;
  std::vector<size_t> links_;
  std::vector<std::pair<std::string, Attributes>> dirs_;
};

}  // namespace

Result<std::string> write_script(const LayerView& view, const CommitPlan& plan) {
  return Writer(view, plan).run();
}

}  // namespace viewsh::viewfs
