// libedit reads through WatchedInput, so that signals and new sizes reach it in this thread, in good order; its own handlers of
// signals are off. Ctrl-Z is no signal here but a key, before which the terminal is given back.
#include "apps/chat/line_editor.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <histedit.h>
#include <locale.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <string_view>
#include <utility>

#include "apps/chat/completion.h"
#include "apps/chat/history_file.h"
#include "apps/common/text_width.h"
#include "base/utf8.h"
#include "lapidary/printable.h"

namespace lapidary::cli {
namespace {

constexpr char kCtrlZ = 26;
constexpr std::string_view kPasteEnd = "\x1b[201~";

// Where the rows of a line end: its columns, and line ends within it.
size_t rows_of(std::string_view text, size_t columns) {
    size_t rows = 0;
    while (true) {
        const std::string_view line = text.substr(0, text.find('\n'));
        rows += columns > 0 ? text_width(line) / columns : 0;
        if (line.size() == text.size()) return rows;
        text.remove_prefix(line.size() + 1);
        ++rows;
    }
}

// Of what was pasted: line ends as ours, and nothing that is no text.
std::string as_text(std::string_view pasted) {
    std::string text;
    for (size_t i = 0; i < pasted.size(); ++i) {
        const char c = pasted[i];
        if (c == '\r' && i + 1 < pasted.size() && pasted[i + 1] == '\n') continue;
        if (c == '\r') text += '\n';
        else if (c == '\n' || c == '\t' || (static_cast<unsigned char>(c) >= 0x20 && c != 0x7f)) text += c;
    }
    return text;
}

class LineEditor final : public LineReader {
  public:
    LineEditor(WatchedInput& input, Interrupt& interrupt, int fd, std::filesystem::path file)
        : input_(input), interrupt_(interrupt), fd_(fd), out_(fdopen(fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1), "w")),
          silent_(fopen("/dev/null", "we")), file_(std::move(file)) {}
    ~LineEditor() override {
        interrupt_.before_leaving({});
        if (editor_ != nullptr) el_end(editor_);
        if (history_ != nullptr) history_end(history_);
        for (FILE* stream : {out_, silent_})
            if (stream != nullptr) fclose(stream);
    }

    bool start(const std::vector<std::string>& entries) {
        if (out_ == nullptr || silent_ == nullptr || tcgetattr(STDIN_FILENO, &usual_) != 0) return false;
        setlocale(LC_CTYPE, "C.UTF-8");  // the texts here are UTF-8, whatever the user's language
        editor_ = el_init_fd("lapidary", stdin, out_, silent_, STDIN_FILENO, fileno(out_), fileno(silent_));
        history_ = history_init();
        if (editor_ == nullptr || history_ == nullptr) return false;
        el_set(editor_, EL_CLIENTDATA, static_cast<void*>(this));
        el_set(editor_, EL_SIGNAL, 0);
        el_set(editor_, EL_EDITOR, "emacs");
        el_set(editor_, EL_GETCFN, static_cast<el_rfunc_t>([](EditLine* e, wchar_t* c) { return self(e).next(*c); }));
        el_set(editor_, EL_PROMPT, static_cast<char* (*)(EditLine*)>([](EditLine* e) { return self(e).prompt_.data(); }));
        bind_keys();
        HistEvent event;
        history(history_, &event, H_SETSIZE, static_cast<int>(kHistoryEntries));
        history(history_, &event, H_SETUNIQUE, 1);
        el_set(editor_, EL_HIST, history, history_);
        for (const std::string& entry : entries) history(history_, &event, H_ENTER, entry.c_str());
        el_source(editor_, nullptr);  // the user's ~/.editrc has the last word
        interrupt_.before_leaving([this] { give_back_terminal(); });
        return true;
    }

    Typed line(const std::string& prompt) override {
        prompt_ = prompt;
        end_ = Typed::Kind::end;
        columns_ = columns();
        el_resize(editor_);
        take_terminal();  // before the prompt is there: what is typed at its sight is not echoed twice
        int count = 0;
        const char* text = el_gets(editor_, &count);
        tell_terminal("\x1b[?2004l");
        if (text == nullptr || count <= 0) {
            tell_terminal("\n");
            return {.kind = end_, .had_text = std::exchange(had_text_, false)};
        }
        std::string typed(text, static_cast<size_t>(count));
        if (typed.ends_with('\n')) typed.pop_back();
        return {.text = std::move(typed)};
    }

    void remember(const std::string& entry, bool in_file) override {
        HistEvent event;
        history(history_, &event, H_ENTER, entry.c_str());
        if (in_file && !file_.empty()) append_history(file_, entry);
    }

  private:
    static LineEditor& self(EditLine* editor) {
        void* data = nullptr;
        el_get(editor, EL_CLIENTDATA, &data);
        return *static_cast<LineEditor*>(data);
    }

    void bind_keys() {
        // Wide names: libedit keeps those of the narrow form for ever.
        el_wset(editor_, EL_ADDFN, L"lapidary-complete", L"complete commands and files",
                static_cast<unsigned char (*)(EditLine*, int)>([](EditLine* e, int) { return self(e).complete_word(); }));
        el_wset(editor_, EL_ADDFN, L"lapidary-paste", L"take a pasted text",
                static_cast<unsigned char (*)(EditLine*, int)>([](EditLine* e, int) { return self(e).paste(); }));
        constexpr std::pair<const char*, const char*> kKeys[] = {
            {"^I", "lapidary-complete"},      {"\\e[200~", "lapidary-paste"},    {"^R", "em-inc-search-prev"},
            {"^W", "ed-delete-prev-word"},    {"\\e[3~", "ed-delete-next-char"}, {"\\e[1~", "ed-move-to-beg"},
            {"\\e[4~", "ed-move-to-end"},     {"\\e[H", "ed-move-to-beg"},       {"\\e[F", "ed-move-to-end"},
            {"\\eOH", "ed-move-to-beg"},      {"\\eOF", "ed-move-to-end"},       {"\\e[1;5C", "em-next-word"},
            {"\\e[1;5D", "ed-prev-word"}};
        for (const auto& [key, function] : kKeys) el_set(editor_, EL_BIND, key, function, nullptr);
    }

    void tell_terminal(const char* sequence) const {
        fputs(sequence, out_);
        fflush(out_);
    }

    void take_terminal() const {
        el_set(editor_, EL_PREP_TERM, 1);
        termios mode = {};
        tcgetattr(STDIN_FILENO, &mode);
        mode.c_cc[VSUSP] = mode.c_cc[VQUIT] = _POSIX_VDISABLE;
        tcsetattr(STDIN_FILENO, TCSADRAIN, &mode);
        tell_terminal("\x1b[?2004h");
    }

    // Of another thread, when the program ends at once.
    void give_back_terminal() const {
        constexpr std::string_view kNoPaste = "\x1b[?2004l";
        [[maybe_unused]] const auto n = write(fd_, kNoPaste.data(), kNoPaste.size());
        tcsetattr(STDIN_FILENO, TCSANOW, &usual_);
    }

    size_t columns() const {
        winsize size = {};
        return ioctl(fd_, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
    }

    // One character, for libedit; -1 ends the line.
    int next(wchar_t& character) {
        std::string bytes;
        while (true) {
            char byte = 0;
            switch (input_.next(byte)) {
                case WatchedInput::Event::resized: redraw(); continue;
                case WatchedInput::Event::end: return give_up(Typed::Kind::end);
                case WatchedInput::Event::stopped: return give_up(Typed::Kind::stopped);
                case WatchedInput::Event::byte: break;
            }
            if (byte == kCtrlZ) {
                suspend();
                continue;
            }
            bytes += byte;
            const Utf8Head head = utf8_head(bytes);
            if (head.state == Utf8State::incomplete) continue;
            character = head.state == Utf8State::complete ? static_cast<wchar_t>(head.code_point) : L'\uFFFD';
            return 1;
        }
    }

    int give_up(Typed::Kind why) {
        const LineInfo* line = el_line(editor_);
        had_text_ = line->lastchar != line->buffer;
        end_ = why;
        const std::string whole(line->buffer, static_cast<size_t>(line->lastchar - line->buffer));
        const size_t below = rows_of(prompt_ + whole, columns_) - rows_of(prompt_ + std::string(before_cursor()), columns_);
        if (below > 0) tell_terminal(fmt::format("\x1b[{}B", below).c_str());  // what is written next stands behind the line
        return -1;
    }

    std::string_view before_cursor() const {
        const LineInfo* line = el_line(editor_);
        return {line->buffer, static_cast<size_t>(line->cursor - line->buffer)};
    }

    // At another width. Terminals that wrap lines anew have the cursor in another row now, others do not: so many rows
    // are drawn over as are ours with both, and no other line is lost.
    void redraw() {
        const size_t now = columns();
        const std::string shown = prompt_ + std::string(before_cursor());
        const size_t up = std::min(rows_of(shown, columns_), rows_of(shown, now));
        columns_ = now;
        tell_terminal((up > 0 ? fmt::format("\r\x1b[{}A\x1b[J", up) : std::string("\r\x1b[J")).c_str());
        el_resize(editor_);
        el_set(editor_, EL_REFRESH);
    }

    void suspend() {
        el_set(editor_, EL_PREP_TERM, 0);
        tell_terminal("\x1b[?2004l\n");
        kill(0, SIGTSTP);  // the shell's whole job, as the terminal would
        take_terminal();
        redraw();
    }

    unsigned char paste() {
        std::string pasted;
        while (!pasted.ends_with(kPasteEnd)) {
            char byte = 0;
            const WatchedInput::Event event = input_.next(byte);
            if (event == WatchedInput::Event::resized) continue;
            if (event != WatchedInput::Event::byte) return CC_REFRESH;  // the next read tells
            pasted += byte;
        }
        pasted.resize(pasted.size() - kPasteEnd.size());
        if (el_insertstr(editor_, as_text(pasted).c_str()) != 0) return CC_ERROR;
        return CC_REFRESH;
    }

    unsigned char complete_word() {
        const Completions found = complete(before_cursor());
        const std::string more = found.common();
        if (!more.empty() && el_insertstr(editor_, more.c_str()) == 0) return CC_REFRESH;
        if (found.words.size() < 2) return CC_ERROR;
        list(found.words);
        return CC_REDISPLAY;
    }

    // Below the line, in columns.
    void list(const std::vector<std::string>& words) const {
        size_t widest = 0;
        for (const std::string& word : words) widest = std::max(widest, text_width(printable(word)));
        const size_t across = std::max<size_t>(1, std::max<size_t>(columns_, 1) / (widest + 2));
        std::string text = "\n";
        for (size_t i = 0; i < words.size(); ++i) {
            const std::string word = printable(words[i]);
            const bool last = (i + 1) % across == 0 || i + 1 == words.size();
            text += word + (last ? "\n" : std::string(widest + 2 - text_width(word), ' '));
        }
        tell_terminal(text.c_str());
    }

    WatchedInput& input_;
    Interrupt& interrupt_;
    int fd_;
    FILE *out_, *silent_;  // libedit's complaints about terminals go nowhere
    std::filesystem::path file_;
    EditLine* editor_ = nullptr;
    History* history_ = nullptr;
    termios usual_ = {};
    std::string prompt_;
    size_t columns_ = 0;
    Typed::Kind end_ = Typed::Kind::end;
    bool had_text_ = false;
};

}  // namespace

std::unique_ptr<LineReader> line_editor(WatchedInput& input, Interrupt& interrupt, int fd, const std::vector<std::string>& history,
                                        std::filesystem::path file) {
    auto editor = std::make_unique<LineEditor>(input, interrupt, fd, std::move(file));
    if (!editor->start(history)) return nullptr;
    return editor;
}

}  // namespace lapidary::cli
