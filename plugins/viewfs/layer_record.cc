#include "layer_record.h"

#include <array>
#include <charconv>
#include <ctime>

namespace viewsh::viewfs {
namespace {

constexpr std::array<uint32_t, 256> crc_table() {
  std::array<uint32_t, 256> table{};
  for (uint32_t i = 0; i < 256; ++i) {
    uint32_t c = i;
    for (int k = 0; k < 8; ++k) c = (c & 1) ? 0xEDB88320u ^ (c >> 1) : c >> 1;
    table[i] = c;
  }
  return table;
}
constexpr std::array<uint32_t, 256> kCrcTable = crc_table();

uint32_t crc32(std::string_view data) {
  uint32_t crc = ~0u;
  for (char c : data) crc = kCrcTable[(crc ^ static_cast<uint8_t>(c)) & 0xff] ^ (crc >> 8);
  return ~crc;
}

std::string hex8(uint32_t value) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string out(8, '0');
  for (size_t i = 8; i-- > 0; value >>= 4) out[i] = kDigits[value & 15];
  return out;
}

template <typename T>
bool parse(std::string_view text, T* value, int base = 10) {
  auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), *value, base);
  return ec == std::errc() && end == text.data() + text.size();
}

bool parse(std::string_view text, FileTime* value) { return FileTime::parse(text, value); }

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> out;
  for (;;) {
    const size_t at = text.find(separator);
    out.push_back(text.substr(0, at));
    if (at == std::string_view::npos) return out;
    text.remove_prefix(at + 1);
  }
}

std::string encode_state(const LowerState& s) {
  std::string out;
  auto put = [&](auto value) {
    if (!out.empty()) out += ':';
    out += std::to_string(value);
  };
  put(s.dev), put(s.ino), put(s.mode), put(s.nlink), put(s.size);
  for (const FileTime& time : {s.mtime, s.ctime, s.seen}) out += ":" + time.text();
  return out;
}

bool decode_state(std::string_view text, LowerState* s) {
  const auto f = split(text, ':');
  return f.size() == 8 && parse(f[0], &s->dev) && parse(f[1], &s->ino) && parse(f[2], &s->mode) &&
         parse(f[3], &s->nlink) && parse(f[4], &s->size) && parse(f[5], &s->mtime) &&
         parse(f[6], &s->ctime) && parse(f[7], &s->seen);
}

void encode_meta(const Meta& m, std::string* out) {
  *out += ' ';
  *out += static_cast<char>(m.kind);
  *out += std::to_string(static_cast<int>(m.type));
  if (!m.redirect.empty()) *out += " >" + escape(m.redirect);
  if (m.origin) *out += " o" + encode_state(*m.origin);
  if (m.mode) *out += " m" + std::to_string(*m.mode);
  if (m.uid) *out += " u" + std::to_string(*m.uid);
  if (m.gid) *out += " g" + std::to_string(*m.gid);
  if (m.changed) *out += " c";
}

bool decode_path(std::string_view text, std::string* out) {
  auto path = unescape(text);
  if (!path) return false;
  *out = std::move(*path);
  return true;
}

bool decode_meta_field(std::string_view field, Meta* m) {
  const std::string_view value = field.substr(1);
  switch (field[0]) {
    case '>':
      return decode_path(value, &m->redirect);
    case 'o':
      return decode_state(value, &m->origin.emplace());
    case 'm':
      return parse(value, &m->mode.emplace());
    case 'u':
      return parse(value, &m->uid.emplace());
    case 'g':
      return parse(value, &m->gid.emplace());
    case 'c':
      m->changed = true;
      return value.empty();
    default:
      return false;
  }
}

bool decode_meta(const std::vector<std::string_view>& f, Meta* m) {
  if (f.size() < 3 || f[2].size() < 2) return false;
  const char kind = f[2][0];
  if (kind != 'u' && kind != 'm' && kind != 'r') return false;
  m->kind = static_cast<Meta::Kind>(kind);
  uint8_t type = 0;
  if (!parse(f[2].substr(1), &type)) return false;
  m->type = static_cast<NodeType>(type);
  for (size_t i = 3; i < f.size(); ++i) {
    if (f[i].empty() || !decode_meta_field(f[i], m)) return false;
  }
  return true;
}

std::string encode_record(const Record& r) {
  using Op = Record::Op;
  switch (r.op) {
    case Op::kHide:
      return "hide " + escape(r.path) + " " + encode_state(r.state);
    case Op::kShow:
      return "show " + escape(r.path);
    case Op::kClear:
      return "clear " + escape(r.path);
    case Op::kMove:
      return "move " + escape(r.path) + " " + escape(r.to);
    case Op::kSwap:
      return "swap " + escape(r.path) + " " + escape(r.to);
    case Op::kLinked:
      return "linked " + encode_state(r.state) + " " + std::to_string(r.covered) +
             (r.anchor ? " a" : " -");
    case Op::kNode:
      break;
  }
  std::string out = "node " + escape(r.path);
  encode_meta(r.meta, &out);
  return out;
}

bool decode_record(std::string_view text, Record* r) {
  using Op = Record::Op;
  const auto f = split(text, ' ');
  if (f.size() < 2) return false;
  if (f[0] == "linked") {
    r->op = Op::kLinked;
    if (f.size() != 4 || !decode_state(f[1], &r->state) || !parse(f[2], &r->covered)) return false;
    r->anchor = f[3] == "a";
    return true;
  }
  if (!decode_path(f[1], &r->path)) return false;
  if (f[0] == "hide") {
    r->op = Op::kHide;
    return f.size() == 3 && decode_state(f[2], &r->state);
  }
  if (f[0] == "show" || f[0] == "clear") {
    r->op = f[0] == "show" ? Op::kShow : Op::kClear;
    return f.size() == 2;
  }
  if (f[0] == "move" || f[0] == "swap") {
    r->op = f[0] == "move" ? Op::kMove : Op::kSwap;
    return f.size() == 3 && decode_path(f[2], &r->to);
  }
  r->op = Op::kNode;
  return f[0] == "node" && decode_meta(f, &r->meta);
}

bool decode_test(std::string_view text, HostTest* test) {
  const auto f = split(text, ' ');
  if (f[0] == "-") return f.size() == 1;
  if (f.size() < 2 || !decode_path(f[1], &test->path)) return false;
  test->kind = f[0] == "gone" ? HostTest::Kind::kGone : HostTest::Kind::kIno;
  if (f[0] == "gone") return f.size() == 2;
  return f[0] == "ino" && f.size() == 3 && parse(f[2], &test->ino);
}

}  // namespace

uint64_t dev_of(const Attr& attr) {
  return (static_cast<uint64_t>(attr.stx_dev_major) << 32) | attr.stx_dev_minor;
}

LowerState lower_state(const Attr& attr) {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  LowerState s;
  s.dev = dev_of(attr);
  s.ino = attr.stx_ino;
  s.mode = attr.stx_mode;
  s.nlink = attr.stx_nlink;
  s.size = attr.stx_size;
  s.mtime = file_time(attr.stx_mtime);
  s.ctime = file_time(attr.stx_ctime);
  s.seen = {now.tv_sec, static_cast<uint32_t>(now.tv_nsec)};
  return s;
}

Record Record::hide(std::string path, const LowerState& state) {
  Record r;
  r.op = Op::kHide;
  r.path = std::move(path);
  r.state = state;
  return r;
}
Record Record::show(std::string path) {
  Record r;
  r.op = Op::kShow;
  r.path = std::move(path);
  return r;
}
Record Record::node(std::string path, Meta meta) {
  Record r;
  r.op = Op::kNode;
  r.path = std::move(path);
  r.meta = std::move(meta);
  return r;
}
Record Record::clear(std::string path) {
  Record r;
  r.op = Op::kClear;
  r.path = std::move(path);
  return r;
}
Record Record::move(std::string from, std::string to) {
  Record r;
  r.op = Op::kMove;
  r.path = std::move(from);
  r.to = std::move(to);
  return r;
}
Record Record::swap(std::string a, std::string b) {
  Record r = move(std::move(a), std::move(b));
  r.op = Op::kSwap;
  return r;
}

std::string escape(std::string_view text) {
  static constexpr char kDigits[] = "0123456789abcdef";
  if (text.empty()) return "%";
  std::string out;
  out.reserve(text.size());
  for (char c : text) {
    const auto byte = static_cast<uint8_t>(c);
    if (byte > 0x20 && byte < 0x7f && c != '%' && c != '|') {
      out += c;
    } else {
      out += '%';
      out += kDigits[byte >> 4];
      out += kDigits[byte & 15];
    }
  }
  return out;
}

std::optional<std::string> unescape(std::string_view text) {
  if (text == "%") return std::string();
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    uint8_t byte = 0;
    if (i + 2 >= text.size() || !parse(text.substr(i + 1, 2), &byte, 16)) return std::nullopt;
    out += static_cast<char>(byte);
    i += 2;
  }
  return out;
}

std::string encode_text(std::string_view text) {
  std::string line = hex8(crc32(text));
  line += ' ';
  line += text;
  line += '\n';
  return line;
}

std::optional<std::string_view> decode_text(std::string_view line) {
  uint32_t crc = 0;
  if (line.size() < 10 || line[8] != ' ' || !parse(line.substr(0, 8), &crc, 16)) return {};
  const std::string_view text = line.substr(9);
  if (crc32(text) != crc) return {};
  return text;
}

std::string encode(const Transaction& transaction) {
  const HostTest& test = transaction.test;
  std::string text = "-";
  if (test.kind == HostTest::Kind::kIno) {
    text = "ino " + escape(test.path) + " " + std::to_string(test.ino);
  } else if (test.kind == HostTest::Kind::kGone) {
    text = "gone " + escape(test.path);
  }
  for (const Record& r : transaction.records) text += "|" + encode_record(r);
  return encode_text(text);
}

std::optional<Transaction> decode(std::string_view line) {
  const auto text = decode_text(line);
  if (!text) return {};
  const auto parts = split(*text, '|');
  Transaction out;
  if (!decode_test(parts[0], &out.test)) return {};
  for (size_t i = 1; i < parts.size(); ++i) {
    if (!decode_record(parts[i], &out.records.emplace_back())) return {};
  }
  return out;
}

}  // namespace viewsh::viewfs
