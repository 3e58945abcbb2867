// Where the lines of a chat come from: a terminal with editing and history, or anything else, line by line.
#pragma once

#include <memory>
#include <string>

#include "apps/chat/watched_input.h"
#include "apps/common/output.h"

namespace lapidary::cli {

struct Typed {
    enum class Kind { text, end, stopped, too_long };  // stopped: by a signal, or Ctrl-C; too_long: kMaxTextBytes and more
    Kind kind = Kind::text;
    std::string text = {};
    bool literal = false;   // between """ and """: no command, whatever it begins with
    bool had_text = false;  // of a line that was stopped: it was not empty
};

class LineReader {
  public:
    LineReader() = default;
    virtual ~LineReader() = default;
    LineReader(const LineReader&) = delete;
    LineReader& operator=(const LineReader&) = delete;
    virtual Typed line(const std::string& prompt) = 0;
    // For the next lines to come back to, and those of later programs.
    virtual void remember(const std::string& /*entry*/, bool /*in_file*/) {}
};

// `prompts`: somebody types there, and is asked.
std::unique_ptr<LineReader> plain_reader(WatchedInput& input, const Console& console, bool prompts);

// One line, or several as one text: between """ and """, or where lines end in a backslash. A block that nobody closed
// is an error.
Result<Typed> read_entry(LineReader& reader, const std::string& prompt);

}  // namespace lapidary::cli
