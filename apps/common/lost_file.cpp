// The handler of SIGBUS; see lost_file.h. Everything in it may be called from a signal handler: no memory, no
// locks.
#include "apps/common/lost_file.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <climits>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "apps/common/output.h"

namespace lapidary::cli {
namespace {

const std::atomic<bool>* g_json = nullptr;
bool g_terminal = false;

// A text of limited length in memory that is there already.
class FixedText {
  public:
    void add(char c) {
        if (size_ < sizeof text_) text_[size_++] = c;
    }
    void add(std::string_view text) {
        for (const char c : text) add(c);
    }
    void clear() { size_ = 0; }
    std::string_view view() const { return {text_, size_}; }

  private:
    char text_[PATH_MAX + 512] = {};
    size_t size_ = 0;
};
FixedText g_line, g_message;

uint64_t take_hex(std::string_view& text) {
    uint64_t value = 0;
    size_t used = 0;
    for (; used < text.size(); ++used) {
        const char c = text[used];
        const int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
        if (digit < 0) break;
        value = value * 16 + static_cast<uint64_t>(digit);
    }
    text.remove_prefix(used);
    return value;
}

// "7f12-7f34 r--p 00000000 08:01 4711   /models/gemma.gguf": the file, where the address lies in it.
std::string_view file_in(std::string_view line, uint64_t address) {
    const size_t slash = line.find('/');
    const uint64_t begin = take_hex(line);
    if (line.empty() || slash == line.npos) return {};
    line.remove_prefix(1);
    const uint64_t end = take_hex(line);
    if (address < begin || address >= end) return {};
    return line.substr(line.find('/'));
}

// The file that is mapped at the address, from the kernel's own list; empty: memory of another kind.
std::string_view mapped_file(uint64_t address) {
    const int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
    if (fd < 0) return {};
    char buffer[1024];
    for (ssize_t n = 0; (n = read(fd, buffer, sizeof buffer)) > 0;)
        for (ssize_t i = 0; i < n; ++i) {
            if (buffer[i] != '\n') {
                g_line.add(buffer[i]);
                continue;
            }
            if (const std::string_view file = file_in(g_line.view(), address); !file.empty()) return file;
            g_line.clear();
        }
    return {};
}

void add_name(std::string_view name, bool json) {
    for (const char c : name) {
        const bool control = static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
        if (json && (c == '"' || c == '\\')) g_message.add('\\');
        g_message.add(control ? '?' : c);
    }
}

void write_message(int fd) {
    std::string_view text = g_message.view();
    while (!text.empty()) {
        const ssize_t n = write(fd, text.data(), text.size());
        if (n <= 0) return;
        text.remove_prefix(static_cast<size_t>(n));
    }
}

void on_bus_error(int number, siginfo_t* info, void*) {
    static std::atomic_flag busy;
    while (busy.test_and_set()) pause();  // another thread is at it, and ends the program
    const bool by_memory = info->si_code == BUS_ADRERR || info->si_code == BUS_OBJERR;
    const std::string_view file =
        by_memory ? mapped_file(reinterpret_cast<uintptr_t>(info->si_addr)) : std::string_view();
    if (file.empty()) {  // not ours to explain
        signal(number, SIG_DFL);
        raise(number);
        return;
    }
    const bool json = g_json->load();
    if (json)
        g_message.add(R"({"error":{"code":"bad_model_file","message":")");
    else
        g_message.add(g_terminal ? "\x1b[0m\r\x1b[Klapidary: " : "lapidary: ");
    add_name(file, json);
    g_message.add(" became shorter, or could not be read, while it was used");
    g_message.add(json ? R"(","hint":")" : " (");
    g_message.add("leave the file alone while it is used; if nobody touched it, look at the disk");
    g_message.add(json ? "\"}}\n" : ")\n");
    write_message(json ? STDOUT_FILENO : STDERR_FILENO);
    _exit(exit_code(Errc::bad_model_file));
}

}  // namespace

void report_lost_files(const std::atomic<bool>& json) {
    g_json = &json;
    g_terminal = is_capable_terminal(STDERR_FILENO);
    struct sigaction action = {};
    action.sa_sigaction = on_bus_error;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    sigaction(SIGBUS, &action, nullptr);
}

}  // namespace lapidary::cli
