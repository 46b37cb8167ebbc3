// Export and import as a whole: what is made gets its name when it is complete, or goes.
#include "transfer_store.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>

#include "cow_index.h"
#include "deep_path.h"
#include "host_ops.h"
#include "transfer_build.h"
#include "transfer_overlay.h"
#include "transfer_walk.h"

namespace viewsh::viewfs {
namespace {

using Answer = LayerStore::Answer<TransferReport>;

constexpr char kStandard[] = "-";

std::string with_suffix(std::string path, const char* what) {
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  const size_t slash = path.rfind('/');
  const size_t name = slash == std::string::npos ? 0 : slash + 1;
  return path.substr(0, name) + "." + path.substr(name) + what + std::to_string(getpid());
}

std::string failed(const std::string& path) { return path + ": " + strerror(errno); }

std::string write_archive(LayerView* view, int fd, const TransferOptions& options,
                          TransferMeter* meter) {
  std::string error;
  ArchiveModule* archives = archive_module(&error);
  if (archives == nullptr) return error;
  const auto writer = archives->writer(fd, options.compression, meter, &error);
  return writer == nullptr ? error : LayerWalk(view, writer.get(), meter).run();
}

std::string export_file(LayerView* view, const std::string& file, const TransferOptions& options,
                        TransferMeter* meter) {
  struct stat st {};
  if (file == kStandard) return write_archive(view, STDOUT_FILENO, options, meter);
  if (stat(file.c_str(), &st) == 0 && !S_ISREG(st.st_mode)) {
    // A pipe or a device is written to; a directory says that it is one.
    const UniqueFd fd(open(file.c_str(), O_WRONLY | O_CLOEXEC));
    return fd ? write_archive(view, fd.get(), options, meter) : failed(file);
  }
  const std::string temp = with_suffix(file, ".export-");
  const UniqueFd fd(open(temp.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666));
  if (!fd) return failed(file);
  std::string error = write_archive(view, fd.get(), options, meter);
  if (error.empty() && fsync(fd.get()) < 0) error = failed(file);
  if (error.empty() && rename(temp.c_str(), file.c_str()) < 0) error = failed(file);
  if (!error.empty()) unlink(temp.c_str());
  return error;
}

std::string export_dir(LayerView* view, const std::string& dir, TransferMeter* meter) {
  const std::string temp = with_suffix(dir, ".export-");
  if (mkdir(temp.c_str(), 0700) < 0) return failed(dir);
  std::string error;
  {
    const UniqueFd fd(open(temp.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    OverlayWriter writer(fd.get(), meter);
    error = fd ? LayerWalk(view, &writer, meter).run() : failed(dir);
  }
  // An empty directory gives way to it, anything else does not.
  if (error.empty() && rename(temp.c_str(), dir.c_str()) < 0) error = failed(dir);
  if (!error.empty()) (void)host_ops::remove_tree(temp);
  return error;
}

/// What a killed import left. The process that it belonged to is in its name.
void sweep(const std::string& layers) {
  DIR* dir = opendir(layers.c_str());
  if (dir == nullptr) return;
  std::vector<std::string> stale;
  while (const dirent* entry = readdir(dir)) {
    const std::string name = entry->d_name;
    const size_t mark = name.rfind(".import-");
    if (name[0] != '.' || mark == std::string::npos) continue;
    const pid_t pid = atoi(name.c_str() + mark + strlen(".import-"));
    if (pid > 0 && kill(pid, 0) < 0 && errno == ESRCH) stale.push_back(layers + "/" + name);
  }
  closedir(dir);
  for (const std::string& path : stale) (void)host_ops::remove_tree(path);
}

std::string read_into(Layer* layer, const std::string& file, const TransferOptions& options,
                      TransferMeter* meter) {
  LayerBuilder builder(layer, meter);
  std::string error = builder.start();
  if (!error.empty()) return error;
  if (options.overlayfs) {
    const UniqueFd fd(open(file.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    return fd ? read_overlay(fd.get(), &builder) : std::string(strerror(errno));
  }
  ArchiveModule* archives = archive_module(&error);
  if (archives == nullptr) return error;
  if (file == kStandard) return archives->read(STDIN_FILENO, &builder, meter);
  const UniqueFd fd(open(file.c_str(), O_RDONLY | O_CLOEXEC));
  return fd ? archives->read(fd.get(), &builder, meter) : std::string(strerror(errno));
}

std::string lower_of(const TransferOptions& options) {
  if (options.root == "/") return options.at;
  return options.at == "/" ? options.root : options.root + options.at;
}

}  // namespace

Answer export_layer(LayerView* view, const std::string& file, const TransferOptions& options) {
  Answer out;
  TransferMeter meter(options);
  out.error =
      options.overlayfs ? export_dir(view, file, &meter) : export_file(view, file, options, &meter);
  out.value = meter.take_report();
  return out;
}

Answer import_layer(const std::string& file, const std::string& layers, const std::string& name,
                    const TransferOptions& options) {
  Answer out;
  const std::string what = "layer " + name + ": ";
  const std::string dir = layers + "/" + name;
  if (access(dir.c_str(), F_OK) == 0) {
    out.error = what + "is there already (viewsh discard " + name + " removes it)";
    return out;
  }
  sweep(layers);
  TransferMeter meter(options);
  LayerSpec spec;
  spec.dir = layers + "/." + name + ".import-" + std::to_string(getpid());
  spec.name = name;
  spec.create = true;
  spec.view_id = "of an import (process " + std::to_string(getpid()) + ")";
  spec.at = options.at;
  spec.lower = lower_of(options);
  MountError failure;
  auto layer = Layer::open(spec, &failure);
  if (!layer) {
    out.error = failure.text;
  } else if (const std::string error = read_into(layer.get(), file, options, &meter);
             !error.empty()) {
    out.error = file + ": " + error;
  } else if (const auto done = layer->close(); !done) {
    out.error = what + done.error().message();
  } else if (renameat2(AT_FDCWD, spec.dir.c_str(), AT_FDCWD, dir.c_str(), RENAME_NOREPLACE) < 0) {
    out.error = errno == EEXIST ? what + "is there already" : failed(dir);
  }
  layer.reset();
  if (!out.ok()) (void)host_ops::remove_tree(spec.dir);
  out.value = meter.take_report();
  return out;
}

}  // namespace viewsh::viewfs
