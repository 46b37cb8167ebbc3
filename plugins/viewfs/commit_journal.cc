// The journal of a commit: lines with a checksum, as in the log of a layer.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <set>
#include <utility>

#include "commit_record.h"
#include "layer.h"

namespace viewsh::viewfs {
namespace {

constexpr char kHead[] = "viewsh-commit 1";
constexpr char kPrepare[] = "prepare";
constexpr char kReady[] = "ready";
constexpr char kApplied[] = "applied";

/// A line in the making.
class Line {
 public:
  explicit Line(std::string_view word) : text_(word) {}
  Line& add(std::string_view text) {
    text_ += ' ';
    text_ += escape(text);
    return *this;
  }
  template <typename N>
  requires std::is_integral_v<N> Line& add(N number) {
    text_ += ' ';
    text_ += std::to_string(number);
    return *this;
  }
  Line& add(const FileTime& time) { return add(std::string_view(time.text())); }
  Line& add(const Attributes& a) {
    return add(a.mode).add(a.uid).add(a.gid).add(a.atime).add(a.mtime);
  }
  Line& add(const Stamp& s) {
    return add(s.ino).add(s.mode).add(s.size).add(s.mtime).add(s.only_ino ? 1 : 0);
  }
  std::string text() const { return encode_text(text_); }

 private:
  std::string text_;
};

/// The fields of a line, one after the other; what isn't there or isn't right makes it bad.
class Fields {
 public:
  explicit Fields(std::string_view text) : rest_(text) {}
  bool good() const { return good_ && rest_.empty(); }
  std::string_view word() {
    const size_t space = rest_.find(' ');
    const std::string_view out = rest_.substr(0, space);
    rest_.remove_prefix(space == std::string_view::npos ? rest_.size() : space + 1);
    good_ = good_ && !out.empty();
    return out;
  }
  void get(std::string* out) {
    const auto text = unescape(word());
    good_ = good_ && text.has_value();
    if (text) *out = *text;
  }
  template <typename N>
  requires std::is_integral_v<N>
  void get(N* out) {
    const std::string_view text = word();
    const auto done = std::from_chars(text.data(), text.data() + text.size(), *out);
    good_ = good_ && done.ec == std::errc() && done.ptr == text.data() + text.size();
  }
  void get(bool* out) {
    int number = 0;
    get(&number);
    *out = number != 0;
  }
  void get(FileTime* out) { good_ = FileTime::parse(word(), out) && good_; }
  void get(Attributes* a) { all(&a->mode, &a->uid, &a->gid, &a->atime, &a->mtime); }
  void get(Stamp* s) { all(&s->ino, &s->mode, &s->size, &s->mtime, &s->only_ino); }
  template <typename... T>
  void all(T*... out) {
    (get(out), ...);
  }

 private:
  std::string_view rest_;
  bool good_ = true;
};

std::string line_of(const InPlace& p) {
  std::string out = Line("inplace")
                        .add(p.path)
                        .add(p.show)
                        .add(p.stamp)
                        .add(p.before)
                        .add(p.after)
                        .add(p.with_xattrs ? 1 : 0)
                        .add(p.upper)
                        .add(p.backup)
                        .text();
  for (const auto& [name, value] : p.xattrs_before) {
    out += Line("had").add(name).add(value).text();
  }
  for (const auto& [name, value] : p.xattrs_after) out += Line("gets").add(name).add(value).text();
  return out;
}

std::string line_of(const Rename& r) {
  const char kind[] = {static_cast<char>(r.kind), 0};
  return Line("rename")
      .add(std::string_view(kind))
      .add(r.from_dir)
      .add(r.from_ino)
      .add(r.from_name)
      .add(r.to_dir)
      .add(r.to_ino)
      .add(r.to_name)
      .add(r.what)
      .add(r.there)
      .add(r.show)
      .text();
}

std::string line_of(const Direct& d) {
  const char kind[] = {static_cast<char>(d.kind), 0};
  return Line("direct")
      .add(std::string_view(kind))
      .add(d.dir)
      .add(d.dir_ino)
      .add(d.name)
      .add(d.own)
      .add(d.ino)
      .add(d.there)
      .text();
}

std::string verdict_text(Selection::Verdict v) { return std::string(1, static_cast<char>(v)); }

bool get_verdict(const std::string& text, Selection::Verdict* out) {
  if (text.size() != 1 || std::string_view("ckd").find(text[0]) == std::string_view::npos) {
    return false;
  }
  *out = static_cast<Selection::Verdict>(text[0]);
  return true;
}

bool parse_rename(Fields* in, Rename* r) {
  std::string kind;
  in->all(&kind, &r->from_dir, &r->from_ino, &r->from_name, &r->to_dir, &r->to_ino, &r->to_name,
          &r->what, &r->there, &r->show);
  if (kind.size() != 1 || std::string_view("ixap").find(kind[0]) == std::string_view::npos) {
    return false;
  }
  r->kind = static_cast<Rename::Kind>(kind[0]);
  return true;
}

bool parse_direct(Fields* in, Direct* d) {
  std::string kind;
  in->all(&kind, &d->dir, &d->dir_ino, &d->name, &d->own, &d->ino, &d->there);
  if (kind.size() != 1 || std::string_view("ixo").find(kind[0]) == std::string_view::npos) {
    return false;
  }
  d->kind = static_cast<Direct::Kind>(kind[0]);
  return true;
}

bool parse_selection(std::string_view word, Fields* in, CommitRecord* out) {
  std::string verdict;
  if (word == "rest") {
    in->get(&verdict);
    return get_verdict(verdict, &out->rest);
  }
  std::string path;
  in->all(&verdict, &path);
  return get_verdict(verdict, &out->decisions[path]);
}

/// One line; false: it isn't one of ours. Then there may be half of it.
bool parse_line(std::string_view text, CommitRecord* out) {
  Fields in(text);
  const std::string_view word = in.word();
  bool known = true;
  if (word == "id") {
    in.get(&out->id);
  } else if (word == "rest" || word == "path") {
    known = parse_selection(word, &in, out);
  } else if (word == "dir" || word == "updir") {
    TouchedDir& d = (word == "dir" ? out->dirs : out->upper_dirs).emplace_back();
    in.all(&d.path, &d.ino, &d.before, &d.loosen);
  } else if (word == "temp") {
    Temp& t = out->temps.emplace_back();
    in.all(&t.dir, &t.name);
  } else if (word == "locked") {
    LockedUpper& l = out->locked.emplace_back();
    in.all(&l.path, &l.mode);
  } else if (word == "link") {
    in.get(&out->linked.emplace_back());
  } else if (word == "inplace") {
    InPlace& p = out->in_place.emplace_back();
    in.all(&p.path, &p.show, &p.stamp, &p.before, &p.after, &p.with_xattrs, &p.upper, &p.backup);
  } else if ((word == "had" || word == "gets") && !out->in_place.empty()) {
    InPlace& p = out->in_place.back();
    std::string name;
    in.get(&name);
    in.get(&(word == "had" ? p.xattrs_before : p.xattrs_after)[name]);
  } else if (word == "direct") {
    known = parse_direct(&in, &out->direct.emplace_back());
  } else if (word == "rename") {
    known = parse_rename(&in, &out->renames.emplace_back());
  } else if (word == "trash") {
    Trash& t = out->trash.emplace_back();
    in.all(&t.dir, &t.dir_ino, &t.name, &t.ino);
  } else if (word == "finish") {
    Finish& f = out->finish.emplace_back();
    in.all(&f.path, &f.ino, &f.attributes);
  } else {
    known = false;
  }
  return known && in.good();
}

/// Belongs to the line of a file in place above it.
bool whole_only(std::string_view text) {
  return text.starts_with("had ") || text.starts_with("gets ");
}

/// A whole journal. Lines that can't be read are counted and left out, with what belongs to them;
/// `size`: where the last line ends that isn't cut off; `ready`: where that line begins.
CommitRecord parse(std::string_view all, size_t* bad, uint64_t* size, uint64_t* ready) {
  CommitRecord out;
  bool whole = true;  // the last file in place, and what was read of it
  for (size_t at = 0; at < all.size();) {
    const size_t end = all.find('\n', at);
    // What a kill cut short is the end: nothing of that stage was begun.
    if (end == std::string::npos) break;
    const auto text = decode_text(all.substr(at, end - at));
    if (!text && end + 1 == all.size()) break;
    const bool first = at == 0;
    const size_t begin = at;
    at = end + 1;
    *size = at;
    if (text && first && *text == kHead) continue;
    if (text && *text == kPrepare) {
      out.stage = CommitRecord::Stage::kPreparing;
    } else if (text && *text == kReady) {
      out.stage = CommitRecord::Stage::kReady;
      *ready = begin;
    } else if (text && *text == kApplied) {
      out.stage = CommitRecord::Stage::kApplied;
    } else if (text && whole_only(*text) && !whole) {
      continue;
    } else if (text && !first && parse_line(*text, &out)) {
      whole = true;
    } else {
      ++*bad;
      // That may have been a line of its attributes: these stay as they are.
      if (!out.in_place.empty()) out.in_place.back().with_xattrs = false;
      whole = false;
    }
  }
  return out;
}

}  // namespace

bool CommitRecord::ends_with_attributes() const {
  if (!trash.empty() || !renames.empty() || !locked.empty()) return false;
  std::set<uint64_t> kept;
  for (const TouchedDir& d : dirs) {
    if (d.loosen) return false;
    kept.insert(d.ino);
  }
  return std::all_of(finish.begin(), finish.end(), [&](const Finish& f) {
    return kept.count(f.ino) != 0 && (f.attributes.mode & S_IRWXU) == S_IRWXU;
  });
}

Result<bool> CommitJournal::exists(int layer_dir_fd) { return is_there(layer_dir_fd, kName); }

Result<void> CommitJournal::append(const std::string& text, int flags) {
  const std::string path = dir_ + "/" + kName;
  UniqueFd fd(open(path.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC | O_NOFOLLOW | flags, 0600));
  if (!fd) return Errno::last();
  // What a kill left of a line is cut off.
  if (size_ != 0) TRY(from_libc(ftruncate(fd.get(), static_cast<off_t>(size_))));
  auto done = write_all(fd.get(), text);
  if (done) done = from_libc(fsync(fd.get()));
  if (done) {
    size_ += text.size();
    return done;
  }
  // A stage that isn't on disk for good was not reached, also for who reads this after a kill.
  if (ftruncate(fd.get(), static_cast<off_t>(size_)) < 0) return Errno::last();
  return done;
}

Result<void> CommitJournal::begin(const CommitRecord& r) {
  std::string out = encode_text(kHead) + Line("id").add(r.id).text() +
                    Line("rest").add(verdict_text(r.rest)).text();
  for (const auto& [path, verdict] : r.decisions) {
    out += Line("path").add(verdict_text(verdict)).add(path).text();
  }
  for (const TouchedDir& d : r.dirs) {
    out += Line("dir").add(d.path).add(d.ino).add(d.before).add(d.loosen ? 1 : 0).text();
  }
  for (const TouchedDir& d : r.upper_dirs) {
    out += Line("updir").add(d.path).add(d.ino).add(d.before).add(0).text();
  }
  for (const Temp& t : r.temps) out += Line("temp").add(t.dir).add(t.name).text();
  for (const LockedUpper& l : r.locked) out += Line("locked").add(l.path).add(l.mode).text();
  for (const uint64_t ino : r.linked) out += Line("link").add(ino).text();
  out += encode_text(kPrepare);
  auto done = append(out, O_CREAT | O_EXCL);
  if (!done && done.error() == Errno(EEXIST)) return done;
  if (done) {
    UniqueFd fd(open(dir_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    done = fd ? from_libc(fsync(fd.get())) : Result<void>(Errno::last());
  }
  // Nothing was begun. Should the name be there again after a power cut, there is nothing to undo.
  if (!done) unlink((dir_ + "/" + kName).c_str());
  if (!done) size_ = 0;
  return done;
}

Result<void> CommitJournal::ready(const CommitRecord& r) {
  std::string out;
  for (const InPlace& p : r.in_place) out += line_of(p);
  for (const Direct& d : r.direct) out += line_of(d);
  for (const Rename& rename : r.renames) out += line_of(rename);
  for (const Trash& t : r.trash) {
    out += Line("trash").add(t.dir).add(t.dir_ino).add(t.name).add(t.ino).text();
  }
  for (const Finish& f : r.finish) {
    out += Line("finish").add(f.path).add(f.ino).add(f.attributes).text();
  }
  const uint64_t ready_at = size_ + out.size();
  TRY(append(out + encode_text(kReady), 0));
  ready_at_ = ready_at;
  return {};
}

Result<void> CommitJournal::taken_back() {
  if (ready_at_ == 0) return {};
  const std::string path = dir_ + "/" + kName;
  UniqueFd fd(open(path.c_str(), O_WRONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!fd) return Errno::last();
  // Also on a full disk: nothing is written.
  TRY(from_libc(ftruncate(fd.get(), static_cast<off_t>(ready_at_))));
  size_ = std::exchange(ready_at_, 0);
  return from_libc(fsync(fd.get()));
}

Result<void> CommitJournal::applied() { return append(encode_text(kApplied), 0); }

Result<void> CommitJournal::remove() {
  TRY(from_libc(unlink((dir_ + "/" + kName).c_str())));
  UniqueFd fd(open(dir_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  return from_libc(fsync(fd.get()));
}

Result<CommitRecord> CommitJournal::read() {
  UniqueFd dir(open(dir_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!dir) return Errno::last();
  TRY_ASSIGN(const std::string all, read_whole(dir.get(), kName));
  size_t bad = 0;
  CommitRecord out = parse(all, &bad, &size_, &ready_at_);
  if (bad != 0) return Errno(EINVAL);
  return out;
}

Result<CommitRecord> CommitJournal::salvage(size_t* bad) {
  UniqueFd dir(open(dir_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!dir) return Errno::last();
  TRY_ASSIGN(const std::string all, read_whole(dir.get(), kName));
  *bad = 0;
  CommitRecord out = parse(all, bad, &size_, &ready_at_);
  using Stage = CommitRecord::Stage;
  // What can't be read may have told of changes that were made.
  if (*bad != 0 && out.stage < Stage::kReady) out.stage = Stage::kReady;
  if (*bad != 0 && out.stage == Stage::kNothing) out.stage = Stage::kPreparing;
  return out;
}

}  // namespace viewsh::viewfs
