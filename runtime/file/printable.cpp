// Escapes for what must not reach a terminal; see printable.h.
#include "lapidary/printable.h"

#include <cstdint>
#include <cstdio>

#include "runtime/file/describe.h"

namespace lapidary {
namespace {

// Of a sequence that utf8_length accepted.
uint32_t code_point(std::string_view sequence) {
    const auto byte = [&](size_t i) { return static_cast<uint32_t>(static_cast<unsigned char>(sequence[i])); };
    if (sequence.size() == 1) return byte(0);
    uint32_t code = byte(0) & (0xff >> (sequence.size() + 1));
    for (size_t i = 1; i < sequence.size(); i++) code = code << 6 | (byte(i) & 0x3f);
    return code;
}

bool is_obeyed(uint32_t code) {
    return code < 0x20 || (code >= 0x7f && code < 0xa0)   // C0, DEL, C1
           || code == 0x2028 || code == 0x2029            // line and paragraph separators
           || (code >= 0x202a && code <= 0x202e)          // embeddings and overrides of direction
           || (code >= 0x2066 && code <= 0x2069)          // isolates
           || (code >= 0xfff9 && code <= 0xfffb);         // interlinear annotations hide text
}

void append_escape(uint32_t code, std::string& out) {
    char text[16];
    if (code == '\n' || code == '\t' || code == '\r')
        std::snprintf(text, sizeof text, "\\%c", code == '\n' ? 'n' : code == '\t' ? 't' : 'r');
    else
        std::snprintf(text, sizeof text, code < 0x80 ? "\\x%02x" : "\\u%04x", code);
    out += text;
}

}  // namespace

std::string printable(std::string_view text, Lines lines) {
    std::string out;
    out.reserve(text.size());
    for (size_t at = 0; at < text.size();) {
        const size_t length = runtime::utf8_length(text.substr(at));
        if (length == 0) {
            char byte[8];
            std::snprintf(byte, sizeof byte, "\\x%02x", static_cast<unsigned char>(text[at++]));
            out += byte;
            continue;
        }
        const std::string_view sequence = text.substr(at, length);
        const uint32_t code = code_point(sequence);
        const bool kept = lines == Lines::keep && (code == '\n' || code == '\t');
        if (is_obeyed(code) && !kept)
            append_escape(code, out);
        else
            out += sequence;
        at += length;
    }
    return out;
}

}  // namespace lapidary
