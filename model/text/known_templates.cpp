// Fingerprints of the templates that chat_template.cpp was compared with; see known_templates.h.
#include "model/text/known_templates.h"

#include <algorithm>
#include <cstdint>

namespace lapidary::model {
namespace {

// FNV-1a, 64 bits: tells versions of one text apart; nobody gains by forging one. Carriage returns and space
// at the end do not count.
uint64_t fingerprint(std::string_view text) {
    uint64_t hash = 0xcbf29ce484222325u;
    for (const char c : text) {
        if (c == '\r') continue;
        hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
    }
    return hash;
}

// What each of them makes of conversations with and without system text, thoughts, media and thinking was compared
// with the built-in renderer's prompts, character by character.
constexpr uint64_t kKnown[] = {
    0xecf8ed96903a3852,  // published with Gemma 4, first version (16,448 bytes)
    0x42c43f5ac13ede11,  // second (16,934)
    0x49328c5f218b677f,  // third (18,681)
    0xfa35fe3c3984a359,  // models/tiny
};

}  // namespace

std::string note_on_template(std::string_view jinja) {
    const size_t last = jinja.find_last_not_of(" \t\r\n");
    if (last == std::string_view::npos) return {};
    const std::string_view text = jinja.substr(0, last + 1);
    const uint64_t own = fingerprint(text);
    if (std::find(std::begin(kKnown), std::end(kKnown), own) != std::end(kKnown)) return {};
    if (text.find("<|turn>") == std::string_view::npos)
        return "the model's own chat template, which writes turns in another way than Gemma 4, is not used; the "
               "built-in one is";
    return "the model's own chat template differs from the published ones of Gemma 4 12B and is not used; the "
           "built-in one is";
}

}  // namespace lapidary::model
