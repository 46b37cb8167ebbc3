#pragma once

#include <map>
#include <string>
#include <vector>

#include "options.h"
#include "workloads.h"

namespace bench {

/// The runs of one workload in one wrapper.
struct Cell {
  std::vector<double> ns;      ///< one a round that worked
  std::vector<double> ratios;  ///< each to the native run of the same round
  std::string error;           ///< of the last round that failed
};

struct Row {
  std::string name;
  std::string title;
  std::string skipped;  ///< why nothing was run; empty: it was
  std::map<std::string, Cell> cells;
};

/// The engine's peak memory.
struct Memory {
  int tasks = 0;
  std::string config;
  long peak_kib = 0;  ///< VmHWM; 0: `error` says why not
  std::string error;
};

struct Report {
  std::vector<Wrapper> wrappers;
  std::vector<Row> rows;
  std::vector<Memory> memory;
};

double median(std::vector<double> values);
std::string as_markdown(const Report& report, const Options& options);
std::string as_json(const Report& report, const Options& options);

/// True if something that was asked for failed or was missing.
bool incomplete(const Report& report);

}  // namespace bench
