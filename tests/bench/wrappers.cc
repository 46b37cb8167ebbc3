#include "wrappers.h"

namespace bench {
namespace {

Wrapper make_wrapper(const std::string& name, const std::string& viewsh, const Scratch& scratch) {
  if (name == "native") return {name, {}, scratch.work, ""};
  if (name == "empty") return {name, {viewsh, "run", "--"}, scratch.work, ""};
  if (name == "bind") {
    return {
        name, {viewsh, "run", "--bind", scratch.work + ":" + scratch.view, "--"}, scratch.view, ""};
  }
  if (name == "cow") return {name, {viewsh, "run", "--cow", "/", "--"}, scratch.work, ""};
  if (name == "proot") return {name, {"proot"}, scratch.work, ""};
  if (name == "bwrap") return {name, {"bwrap", "--dev-bind", "/", "/"}, scratch.work, ""};
  die("--configs " + name + ": native, empty, bind, cow, proot or bwrap is wanted");
}

void try_out(Wrapper* wrapper, const Scratch& scratch) {
  if (wrapper->prefix.empty()) return;
  if (wrapper->prefix[0].empty() || find_program(wrapper->prefix[0]).empty()) {
    wrapper->missing = "not installed";
    return;
  }
  Argv command = wrapper->prefix;
  command.emplace_back("/bin/true");
  const Finished done = run(command, scratch.top, scratch.logs, 30);
  if (!done.ok()) wrapper->missing = done.why();
}

}  // namespace

std::vector<Wrapper> make_wrappers(const std::vector<std::string>& names, const std::string& viewsh,
                                   const Scratch& scratch) {
  std::vector<Wrapper> wrappers{make_wrapper("native", viewsh, scratch)};  // always the first
  for (const std::string& name : names) {
    if (name == "native") continue;
    Wrapper wrapper = make_wrapper(name, viewsh, scratch);
    try_out(&wrapper, scratch);
    wrappers.push_back(wrapper);
  }
  return wrappers;
}

}  // namespace bench
