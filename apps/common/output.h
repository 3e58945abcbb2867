// Where words go: results to stdout, everything else to stderr, errors as one line or one JSON object,
// and the exit codes that scripts rely on. Every verb writes through a Console, nothing else prints.
#pragma once

#include <atomic>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "lapidary/result.h"

namespace lapidary::cli {

int exit_code(Errc code);  // 0 1 2 3 4 5 130
// A terminal that understands what is sent to it: colours, and drawing over a line. TERM=dumb does not.
bool is_capable_terminal(int fd);

class Console {
  public:
    Console();

    // The user wants JSON on stdout and nothing else there. Atomic: the end by a signal is reported alike.
    std::atomic<bool> json{false};
    bool quiet = false;  // no notes, thoughts and timings

    // Writes to stdout at once. False when stdout is closed or full; status() then says why.
    bool write(std::string_view text);
    bool write_json(const nlohmann::ordered_json& value);  // one line
    bool write_page(std::string_view text);                // for people: printable (printable.h), in its lines
    // Text of a model's making. To a file or pipe it goes as it is; on a terminal what that would obey (a model can be
    // led to say escape sequences) is written out. aside_reply does the same on stderr, for thoughts.
    bool write_reply(std::string_view text);
    void aside_reply(std::string_view text) const;
    // An error when something could not be written. A reader that went away is no error.
    Result<void> status() const;
    bool reader_gone() const { return reader_gone_; }

    void note(std::string_view line) const;   // one line on stderr, printable (printable.h), unless quiet
    void aside(std::string_view text) const;  // stderr as it is, without newline, unless quiet
    void dim(bool on) const;                  // stderr's colour, when it is a terminal that wants it
    // One line on stderr that is drawn over by the next, and is gone before anything else is written. Only where
    // stderr is a terminal that can do that; false elsewhere, and with --quiet.
    bool draws() const { return draws_ && !quiet; }
    void draw(std::string_view line) const;
    void clear() const;

    // Columns to fill: of the terminal, at most 80 for help; where stdout is none, 80 for help and no limit (0).
    size_t help_width() const;
    size_t table_width() const;
    size_t note_width() const;  // of stderr; 0: no limit

    // Reports the error in the form the user asked for; returns the exit code.
    int fail(const Error& error);

  private:
    bool draws_ = false, colour_ = false;
    mutable bool drawn_ = false;
    bool reader_gone_ = false;
    int write_errno_ = 0;
};

// JSON text that never fails on bytes that are not UTF-8 (a file name, say).
std::string to_text(const nlohmann::ordered_json& value);

}  // namespace lapidary::cli
