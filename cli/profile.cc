#include "cli/profile.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <array>
#include <climits>
#include <cstdlib>
#include <fstream>
#include <map>
#include <sstream>

#include "cli/profile_reader.h"

namespace viewsh {
namespace {

constexpr size_t kMaxNodes = 200'000;
constexpr size_t kMaxDepth = 64;
constexpr size_t kMaxBytes = 4U << 20;

/// What can't be taken of a YAML text that is otherwise well-formed.
class ProfileLimit : public YAML::ParserException {
 public:
  using YAML::ParserException::ParserException;
};

/// Builds the tree from the parser's events.
class TreeBuilder : public YAML::EventHandler {
 public:
  explicit TreeBuilder(ProfileNode* root) : root_(root) {}

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    finish(start(ProfileNode::Kind::kNull, mark), anchor, mark);
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    auto known = anchors_.find(anchor);
    if (known == anchors_.end()) throw ProfileLimit(mark, "an alias inside of what it names");
    count_ += known->second.second;
    ProfileNode copy = known->second.first;
    copy.line = mark.line + 1;
    copy.column = mark.column + 1;
    finish(std::move(copy), 0, mark);
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    ProfileNode node = start(ProfileNode::Kind::kScalar, mark);
    node.quoted = tag == "!";
    node.text = value;
    finish(std::move(node), anchor, mark);
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    open(start(ProfileNode::Kind::kList, mark), anchor, mark);
  }
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    open(start(ProfileNode::Kind::kMap, mark), anchor, mark);
  }
  void OnMapEnd() override { close(); }

 private:
  struct Level {
    ProfileNode node;
    YAML::anchor_t anchor = 0;
    YAML::Mark mark;
    size_t first = 0;  ///< count_ when it was opened
  };

  static ProfileNode start(ProfileNode::Kind kind, const YAML::Mark& mark) {
    ProfileNode node;
    node.kind = kind;
    node.line = mark.line + 1;
    node.column = mark.column + 1;
    return node;
  }
  void open(ProfileNode node, YAML::anchor_t anchor, const YAML::Mark& mark) {
    if (levels_.size() >= kMaxDepth) throw ProfileLimit(mark, "nested too deeply");
    levels_.push_back({std::move(node), anchor, mark, count_});
  }
  void close() {
    Level level = std::move(levels_.back());
    levels_.pop_back();
    finish(std::move(level.node), level.anchor, level.mark, count_ - level.first);
  }
  void finish(ProfileNode node, YAML::anchor_t anchor, const YAML::Mark& mark, size_t below = 0) {
    if (++count_ > kMaxNodes) throw ProfileLimit(mark, "too large");
    if (anchor != 0) anchors_[anchor] = {node, below + 1};
    if (levels_.empty()) {
      *root_ = std::move(node);
      return;
    }
    ProfileNode& parent = levels_.back().node;
    bool key = parent.kind == ProfileNode::Kind::kMap && parent.keys.size() == parent.items.size();
    (key ? parent.keys : parent.items).push_back(std::move(node));
  }

  ProfileNode* root_;
  std::vector<Level> levels_;
  std::map<YAML::anchor_t, std::pair<ProfileNode, size_t>> anchors_;
  size_t count_ = 0;
};

std::string place_text(const std::string& file, const YAML::Mark& mark) {
  if (mark.is_null()) return file + ":1:1";
  return file + ":" + std::to_string(mark.line + 1) + ":" + std::to_string(mark.column + 1);
}

UserError read_file(const std::string& file, std::string* text) {
  std::ifstream in(file, std::ios::binary);
  if (!in) return {file + ": " + Errno::last().message()};
  std::array<char, 65536> block{};
  while (in.read(block.data(), block.size()) || in.gcount() > 0) {
    text->append(block.data(), static_cast<size_t>(in.gcount()));
    if (text->size() > kMaxBytes) return {file + ": too large to be a profile"};
  }
  if (in.bad()) return {file + ": " + Errno(EIO).message()};
  if (text->find('\0') != std::string::npos) return {file + ": not a text file"};
  return {};
}

std::string canonical(const std::string& file) {
  std::array<char, PATH_MAX> buffer{};
  return realpath(file.c_str(), buffer.data()) != nullptr ? buffer.data() : file;
}

}  // namespace

UserError parse_profile_text(const std::string& text, const std::string& file, ProfileNode* root) {
  try {
    std::istringstream in(text);
    YAML::Parser parser(in);
    TreeBuilder builder(root);
    parser.HandleNextDocument(builder);
    ProfileNode second;
    TreeBuilder ignored(&second);
    if (parser.HandleNextDocument(ignored)) {
      return {file + ":" + std::to_string(second.line) + ":1: a profile is one YAML document"};
    }
  } catch (const YAML::Exception& problem) {
    return {place_text(file, problem.mark) + ": not valid YAML: " + problem.msg};
  }
  return {};
}

UserError ProfileLoader::load(const std::string& name, const std::string& folder) {
  std::string file;
  if (UserError error = find_profile(name, folder, &file)) return error;
  return load_file(file);
}

bool ProfileLoader::is_open(const std::string& file) const {
  return std::find(open_.begin(), open_.end(), canonical(file)) != open_.end();
}

UserError ProfileLoader::load_file(const std::string& file) {
  std::string identity = canonical(file);
  if (!done_.insert(identity).second) return {};
  std::string text;
  if (UserError error = read_file(file, &text)) return error;
  ProfileNode root;
  if (UserError error = parse_profile_text(text, file, &root)) return error;
  open_.push_back(identity);
  UserError error = ProfileReader(file, this, draft_).read(root);
  open_.pop_back();
  return error;
}

}  // namespace viewsh
