#include "engine.h"

#include <grp.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <csignal>
#include <cstring>

#include "base/check.h"
#include "base/path.h"
#include "job_control.h"
#include "launch.h"
#include "mounts.h"
#include "own_limits.h"
#include "plugin_host.h"
#include "report.h"
#include "server_view.h"
#include "syscalls/table.h"
#include "tracee/event.h"
#include "tracer.h"
#include "vfs/walk.h"
#include "view_builder.h"

namespace viewsh {

namespace {

int exit_status_of(int status) {
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/// Nothing differs from the host: no filter, no tracing, not a single trapped call.
int run_plain(const LaunchPlan& plan, Report& report) {
  UserError error;
  pid_t pid = launch(plan, &error);
  if (error) {
    complain(error.text);
    return 125;
  }
  int status = 0;
  while (true) {
    pid_t ended = waitpid(pid, &status, WUNTRACED);
    if (ended < 0 && errno == EINTR) continue;
    if (ended < 0) return 125;
    if (!WIFSTOPPED(status)) break;
    stop_with(pid, WSTOPSIG(status));
  }
  take_terminal_back(pid);
  report.print_stats();
  return exit_status_of(status);
}

/// The program that starts others in a view: beside the engine's own, or where it was installed.
std::string find_loader() {
  char self[PATH_MAX];
  ssize_t n = readlink("/proc/self/exe", self, sizeof self);
  std::string own(self, static_cast<size_t>(std::max<ssize_t>(n, 0)));
  std::string beside = lexically_normal(parent_path(own) + "/../libexec/viewsh/viewsh-loader");
  for (const std::string& path : {beside, std::string(VIEWSH_LOADER)}) {
    if (access(path.c_str(), X_OK) == 0) return path;
  }
  return "";
}

/// `mounts`: null where nothing may be mounted.
Session make_session(const BuiltView& built, PluginHost& host, Mounts* mounts) {
  Session session;
  session.mounter = mounts;
  session.has_aliases = mounts != nullptr;
  session.view = built.view;
  session.cache = built.cache;
  session.exec_formats = built.exec_formats;
  session.identity = built.identity;
  session.host_proc = session.began_with_host_proc = built.host_proc;
  session.fstat_traced = (built.traps & static_cast<unsigned>(Trap::kObjects)) != 0;
  for (const auto& mount : built.view->mounts()) {
    if (mount->type == "device") {
      session.devices.push_back(std::static_pointer_cast<DeviceFs>(mount->fs));
    }
    // What a cow stands on may be a bind or a merge, whose sources show elsewhere; not below "/".
    bool covers = is_copy_on_write(mount->type) && mount->at != "/";
    session.has_aliases =
        session.has_aliases || covers || mount->type == "bind" || mount->type == "merge";
  }
  session.loader = find_loader();
  session.engine_pid = getpid();
  session.uid = geteuid();
  session.gid = getegid();
  int count = getgroups(0, nullptr);
  if (count > 0) {
    session.groups.resize(static_cast<size_t>(count));
    count = getgroups(count, session.groups.data());
    session.groups.resize(static_cast<size_t>(std::max(count, 0)));
  }
  Result<std::string> sockets = host.scratch_dir("s", true);
  if (sockets.ok()) session.socket_dir = *sockets;
  return session;
}

/// The mounts that the view begins with and that may be taken away again: they end when nobody
/// holds them any more. What lies in one of them ends before it.
void hand_over(BuiltView* built, Mounts* mounts, Session* session) {
  std::erase_if(built->made, [&](const std::shared_ptr<const Mount>& mount) {
    if (!mount->late && mount->source_in == 0) return false;
    if (mount->late) session->late.push_back(mount);
    mounts->adopt(mount->own_fs(), mount->type + " at " + mount->at);
    return true;
  });
  built->view.reset();
}

std::string lookup_file_of(PluginHost& host) {
  Result<std::string> dir = host.memory_dir();
  return dir.ok() ? *dir + "/lookups" : "";
}

std::string current_dir() {
  char text[PATH_MAX];
  return getcwd(text, sizeof text) == nullptr ? "/" : text;
}

/// The caller's directory, or / in another root where there is no such directory.
std::string start_dir(const ViewSpec& spec, const View& view) {
  std::string dir = current_dir();
  bool own_root = spec.root == "/" || spec.root.empty();
  if (own_root && view.root()->mount->type != "tmpfs") return dir;
  WalkFlags flags;
  flags.want_exists = true;
  Result<Walked> walked = walk(view, {}, dir, flags, {geteuid(), getegid(), {}, 022}, nullptr);
  bool there = walked.ok() && walked->found.kind == Found::Kind::kNode;
  return there ? dir : "/";
}

std::FILE* trace_target(const RunOptions& options, UserError* error) {
  if (!options.trace || options.trace->empty()) return stderr;
  std::FILE* file = fopen(options.trace->c_str(), "we");
  if (file == nullptr) error->text = "trace file " + *options.trace + ": " + strerror(errno);
  return file;
}

/// Only one tracer can trace a process: a view inside a view is refused, unless it is an empty one.
UserError refuse_impossible(const ViewSpec& spec, bool recorded) {
  if (spec.may_mount() && recorded)
    return {"where mounts may be made, what a run uses can't be recorded"};
  if (spec.identity && recorded)
    return {"where the user is another one, what a run uses can't be recorded"};
  bool empty = !recorded && !spec.identity && spec.root == "/" && spec.mounts.empty() &&
               spec.devices.empty() && spec.binfmt.empty() && !spec.may_mount();
  if (empty || !inside_view()) return {};
  return {
      "already inside a view, and a view inside a view isn't possible yet: leave this one, or put "
      "the options of both into one"};
}

/// The layer that a path comes from: that of what backs it, else the one that takes the changes.
std::string layer_of(const PluginHost& host, const Walked& walked) {
  for (const std::string& layer : walked.mount->layers) {
    std::string dir = host.state_dir() + "/layers/" + layer;
    if (is_at_or_below(walked.found.host, dir)) return layer;
  }
  return walked.mount->layers.empty() ? "" : walked.mount->layers.back();
}

LaunchPlan launch_plan(const ViewSpec& spec, const RunOptions& options, mode_t mask) {
  LaunchPlan plan;
  plan.command = options.command;
  if (plan.command.empty()) {
    const char* shell = getenv("SHELL");
    plan.command = {shell == nullptr || *shell == '\0' ? "/bin/sh" : shell};
  }
  plan.environment = environment_of(spec.env);
  plan.cwd = spec.cwd;
  plan.umask = mask;
  return plan;
}

int refuse(const UserError& error) {
  complain(error.text);
  return error.exit_status;
}

}  // namespace

int run_view(const ViewSpec& spec, const RunOptions& options) {
  return run_server_view(spec, options, nullptr, -1);
}

int run_server_view(const ViewSpec& spec, const RunOptions& options, FuseDevice::Taker taker,
                    int control) {
  UserError error;
  std::FILE* trace_file = trace_target(options, &error);
  if (error) return refuse(error);
  Report report(options.stats, options.trace.has_value(), trace_file);
  mode_t mask = umask(0);
  umask(mask);
  PluginHost::sweep();
  PluginHost host;
  BuiltView built;
  error = refuse_impossible(spec, options.record != nullptr);
  if (!error) error = build_view(spec, &host, &built);
  if (error) return refuse(error);
  LaunchPlan plan = launch_plan(spec, options, mask);
  ignore_terminal_signals();
  if (options.record != nullptr) {
    built.traps |= static_cast<unsigned>(Trap::kPaths) | static_cast<unsigned>(Trap::kRecord);
  }
  if (built.traps == 0) return run_plain(plan, report);
  if (plan.cwd.empty()) plan.cwd = start_dir(spec, *built.view);
  // Who wants to see every call has to stop it.
  const bool quick = built.identity == nullptr && options.record == nullptr && !report.tracing();
  const bool native_lookups = built.shows_host && quick;
  plan.filter = compile_filter(filter_plan(built.traps, native_lookups));
  umask(0);
  pid_t leader = launch(plan, &error);
  if (error) return refuse(error);
  raise_descriptor_limit();
  std::optional<Observer> observer;
  Mounts mounts(&host, built.next_id);
  Session session = make_session(built, host, spec.may_mount() ? &mounts : nullptr);
  if (!spec.may_mount_all()) session.mount_rights = MountRights(built.user_mounts);
  hand_over(&built, &mounts, &session);
  if (taker) fuse_device_of(session)->give_to(std::move(taker));
  if (quick) session.lookup_file = lookup_file_of(host);
  session.native_lookups = native_lookups;
  Tracer tracer(std::move(session), &report, &host.parking(), options.kill_on_exit);
  if (control >= 0) tracer.serve_until(control);
  if (options.record != nullptr) tracer.observe(&observer.emplace(options.record));
  int status = tracer.run(leader, mask);
  bool fine = mounts.shut_down();
  fine = shut_down(built, complain) && fine;
  report.print_stats();
  if (trace_file != stderr) fclose(trace_file);
  int code = exit_status_of(status);
  return fine || code != 0 ? code : 125;
}

UserError check_view(const ViewSpec& spec) {
  PluginHost host;
  BuiltView built;
  UserError error = build_view(spec, &host, &built, true);
  if (!error) shut_down(built, complain);
  return error;
}

UserError resolve_in_view(const ViewSpec& spec, const std::vector<std::string>& paths,
                          std::vector<ResolvedPath>* out) {
  PluginHost host;
  BuiltView built;
  if (UserError error = build_view(spec, &host, &built, true)) return error;
  Caller caller{geteuid(), getegid(), {}, 022};
  for (const std::string& path : paths) {
    ResolvedPath answer;
    WalkFlags flags;
    flags.want_exists = true;
    Result<Walked> walked = walk(*built.view, {current_dir(), ""}, path, flags, caller, nullptr);
    if (!walked.ok()) {
      answer.view_path = path;
      answer.error = walked.error().message();
    } else {
      answer.view_path = walked->view_path;
      answer.mount_at = walked->mount->at;
      answer.mount_type = walked->mount->type;
      answer.layer = layer_of(host, *walked);
      if (!walked->found.deferred) answer.host = walked->found.host;
      answer.exists = walked->found.kind == Found::Kind::kNode;
      if (!answer.exists) answer.error = strerror(ENOENT);
    }
    out->push_back(std::move(answer));
  }
  shut_down(built, complain);
  return {};
}

std::vector<PluginInfo> find_plugins() { return PluginHost::found(); }

LayerStore* layer_store(UserError* error) {
  static PluginHost host;
  Plugin* plugin = host.provider("layers");
  LayerStore* store = plugin == nullptr ? nullptr : plugin->layer_store();
  if (store == nullptr)
    error->text = "no plugin that keeps layers was found (see `viewsh plugins`)";
  return store;
}

}  // namespace viewsh
