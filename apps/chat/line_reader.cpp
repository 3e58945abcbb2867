// Plain lines, and what is typed over several of them; see line_reader.h.
#include "apps/chat/line_reader.h"

#include <string_view>

#include "apps/common/arguments.h"
#include "apps/common/files.h"

namespace lapidary::cli {
namespace {

constexpr std::string_view kFence = "\"\"\"";
constexpr const char* kMore = "... ";
constexpr std::string_view kBlanks = " \t\r\n";

class PlainReader final : public LineReader {
  public:
    PlainReader(WatchedInput& input, const Console& console, bool prompts) : input_(input), console_(console), prompts_(prompts) {}

    Typed line(const std::string& prompt) override {
        if (prompts_) console_.aside(prompt);
        std::string text;
        char byte = 0;
        while (true) switch (input_.next(byte)) {
                case WatchedInput::Event::resized: break;
                case WatchedInput::Event::stopped:
                    if (prompts_) console_.aside("\n");
                    return {.kind = Typed::Kind::stopped, .had_text = !text.empty()};
                case WatchedInput::Event::end:
                    if (!text.empty()) return {.text = std::move(text)};
                    if (prompts_) console_.aside("\n");
                    return {.kind = Typed::Kind::end};
                case WatchedInput::Event::byte:
                    if (byte != '\n') {
                        text += byte;
                        if (text.size() > kMaxTextBytes) return {.kind = Typed::Kind::too_long};
                        break;
                    }
                    if (text.ends_with('\r')) text.pop_back();
                    return {.text = std::move(text)};
            }
    }

  private:
    WatchedInput& input_;
    const Console& console_;
    bool prompts_;
};

std::string_view without_blanks(std::string_view text, bool at_end) {
    if (at_end) return text.substr(0, text.find_last_not_of(kBlanks) + 1);
    return text.substr(std::min(text.find_first_not_of(kBlanks), text.size()));
}

// The text between the fences, when `text`, which begins with one, has the other.
bool closed(std::string_view text, std::string& inside) {
    text.remove_prefix(kFence.size());
    const std::string_view body = without_blanks(text, true);
    if (!body.ends_with(kFence)) return false;
    inside = body.substr(0, body.size() - kFence.size());
    if (inside.starts_with('\n')) inside.erase(0, 1);
    if (inside.ends_with('\n')) inside.pop_back();
    return true;
}

}  // namespace

std::unique_ptr<LineReader> plain_reader(WatchedInput& input, const Console& console, bool prompts) {
    return std::make_unique<PlainReader>(input, console, prompts);
}

Result<Typed> read_entry(LineReader& reader, const std::string& prompt) {
    Typed entry = reader.line(prompt);
    if (entry.kind != Typed::Kind::text) return entry;
    const bool block = without_blanks(entry.text, false).starts_with(kFence);
    if (block) entry.text.erase(0, entry.text.find(kFence));
    std::string inside;
    while (block ? !closed(entry.text, inside) : entry.text.ends_with('\\')) {
        Typed more = reader.line(kMore);
        if (more.kind == Typed::Kind::too_long) return more;
        if (more.kind == Typed::Kind::stopped) return Typed{.kind = Typed::Kind::stopped, .had_text = true};
        if (more.kind == Typed::Kind::end)
            return usage(block ? "the input ends inside a block that \"\"\" opened"
                               : "the input ends behind a backslash, which continues a line",
                         block ? "close it with \"\"\"" : "leave it out at the end");
        if (!block) entry.text.pop_back();
        entry.text += '\n' + more.text;
        if (entry.text.size() > kMaxTextBytes) return Typed{.kind = Typed::Kind::too_long};
    }
    if (block) entry.text = inside;
    entry.literal = block;
    return entry;
}

}  // namespace lapidary::cli
