#include "cli/terminal.h"

#include <poll.h>
#include <unistd.h>

#include <array>
#include <cctype>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>

namespace viewsh {

bool colour_wanted(int fd) {
  const char* no_color = getenv("NO_COLOR");
  if (no_color != nullptr && *no_color != '\0') return false;
  const char* term = getenv("TERM");
  if (term == nullptr || std::string_view(term) == "dumb") return false;
  return isatty(fd) == 1;
}

std::string coloured(std::string_view text, Colour colour, bool wanted) {
  if (!wanted || colour == Colour::kNone) return std::string(text);
  const char* code = "1";
  if (colour == Colour::kRed) code = "31";
  if (colour == Colour::kGreen) code = "32";
  if (colour == Colour::kYellow) code = "33";
  return "\x1b[" + std::string(code) + "m" + std::string(text) + "\x1b[0m";
}

bool can_ask() {
  return isatty(STDIN_FILENO) == 1 && isatty(STDERR_FILENO) == 1 &&
         tcgetpgrp(STDIN_FILENO) == getpgrp();
}

namespace {

volatile std::sig_atomic_t noted_signal = 0;

void note_signal(int signal) { noted_signal = signal; }

/// While a question is open: signals that would end the program are noted, and only where it waits;
/// those that stop it do. A view that has ended leaves them ignored.
class SignalsWhileAsking {
 public:
  SignalsWhileAsking() {
    noted_signal = 0;
    sigset_t noted;
    sigemptyset(&noted);
    for (size_t i = 0; i < std::size(kSignals); ++i) {
      struct sigaction action {};
      action.sa_handler = i < kNoted ? note_signal : SIG_DFL;
      if (i < kNoted) sigaddset(&noted, kSignals[i]);
      sigaction(kSignals[i], &action, &before_[i]);
    }
    sigprocmask(SIG_BLOCK, &noted, &mask_);
    waiting_ = mask_;
    for (size_t i = 0; i < kNoted; ++i) sigdelset(&waiting_, kSignals[i]);
  }
  SignalsWhileAsking(const SignalsWhileAsking&) = delete;
  SignalsWhileAsking& operator=(const SignalsWhileAsking&) = delete;
  ~SignalsWhileAsking() {
    for (size_t i = 0; i < std::size(kSignals); ++i) sigaction(kSignals[i], &before_[i], nullptr);
    sigprocmask(SIG_SETMASK, &mask_, nullptr);
  }
  /// Until there is input or its end; false: a signal was noted.
  bool wait_for_input() const {
    pollfd input{STDIN_FILENO, POLLIN, 0};
    while (noted_signal == 0) {
      int ready = ppoll(&input, 1, nullptr, &waiting_);
      if (ready > 0 || (ready < 0 && errno != EINTR)) return true;
    }
    return false;
  }

 private:
  static constexpr size_t kNoted = 4;
  static constexpr std::array<int, 7> kSignals = {SIGINT,  SIGQUIT, SIGTERM, SIGHUP,
                                                  SIGTSTP, SIGTTIN, SIGTTOU};
  std::array<struct sigaction, kSignals.size()> before_{};
  sigset_t mask_{};
  sigset_t waiting_{};
};

}  // namespace

Reply ask(std::string_view question) {
  SignalsWhileAsking signals;
  fwrite(question.data(), 1, question.size(), stderr);
  fflush(stderr);
  Reply reply;
  for (char c = 0; c != '\n';) {
    if (!signals.wait_for_input()) {
      reply = {0, noted_signal, false};
    } else if (read(STDIN_FILENO, &c, 1) == 1) {
      bool first = reply.letter == 0 && isspace(static_cast<unsigned char>(c)) == 0;
      if (first) reply.letter = static_cast<char>(tolower(static_cast<unsigned char>(c)));
      continue;
    } else {
      reply.end = true;
    }
    fputc('\n', stderr);
    break;
  }
  return reply;
}

}  // namespace viewsh
