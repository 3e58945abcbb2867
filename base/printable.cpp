// Escapes for what must not reach a terminal; see printable.h.
#include "lapidary/printable.h"

#include <cstdio>

#include "base/utf8.h"

namespace lapidary {
namespace {

bool is_obeyed(char32_t code) {
    return code < 0x20 || (code >= 0x7f && code < 0xa0)  // C0, DEL, C1
           || code == 0x2028 || code == 0x2029           // line and paragraph separators
           || (code >= 0x202a && code <= 0x202e)         // embeddings and overrides of direction
           || (code >= 0x2066 && code <= 0x2069)         // isolates
           || (code >= 0xfff9 && code <= 0xfffb);        // interlinear annotations hide text
}

void append_escape(char32_t code, std::string& out) {
    char text[16];
    if (code == '\n' || code == '\t' || code == '\r')
        std::snprintf(text, sizeof text, "\\%c", code == '\n' ? 'n' : code == '\t' ? 't' : 'r');
    else
        std::snprintf(text, sizeof text, code < 0x80 ? "\\x%02x" : "\\u%04x", static_cast<unsigned>(code));
    out += text;
}

}  // namespace

std::string printable(std::string_view text, Lines lines) {
    std::string out;
    out.reserve(text.size());
    for (size_t at = 0; at < text.size();) {
        const Utf8Head head = utf8_head(text.substr(at));
        if (head.state != Utf8State::complete) {
            char byte[8];
            std::snprintf(byte, sizeof byte, "\\x%02x", static_cast<unsigned char>(text[at++]));
            out += byte;
            continue;
        }
        const bool kept = lines == Lines::keep && (head.code_point == '\n' || head.code_point == '\t');
        if (is_obeyed(head.code_point) && !kept)
            append_escape(head.code_point, out);
        else
            out += text.substr(at, head.length_bytes);
        at += head.length_bytes;
    }
    return out;
}

}  // namespace lapidary
