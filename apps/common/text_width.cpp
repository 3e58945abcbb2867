// The C library knows the widths of characters; it needs a locale of UTF-8 for that, whatever the user's is.
#include "apps/common/text_width.h"

#include <locale.h>
#include <wchar.h>

#include <algorithm>

namespace lapidary::cli {
namespace {

// The locale of this thread, changed for a while. Without C.UTF-8 on the machine it stays.
class Utf8Locale {
  public:
    Utf8Locale() {
        static const locale_t utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr);
        if (utf8 != nullptr) before_ = uselocale(utf8);
    }
    ~Utf8Locale() {
        if (before_ != nullptr) uselocale(before_);
    }
    Utf8Locale(const Utf8Locale&) = delete;
    Utf8Locale& operator=(const Utf8Locale&) = delete;

  private:
    locale_t before_ = nullptr;
};

struct Character {
    size_t bytes, columns;
};
// The one that the text begins with; a byte where there is none.
Character first_of(std::string_view text) {
    wchar_t character = 0;
    mbstate_t state = {};
    const size_t length = mbrtowc(&character, text.data(), text.size(), &state);
    if (length == 0 || length > text.size())  // no character in this locale
        return {1, (text[0] & 0xC0) != 0x80 ? size_t{1} : size_t{0}};
    return {length, static_cast<size_t>(std::max(wcwidth(character), 0))};
}

}  // namespace

size_t text_width(std::string_view text) {
    if (std::all_of(text.begin(), text.end(), [](char c) { return c >= 0x20 && c < 0x7f; })) return text.size();
    const Utf8Locale locale;
    size_t width = 0;
    for (size_t at = 0; at < text.size();) {
        const Character next = first_of(text.substr(at));
        width += next.columns;
        at += next.bytes;
    }
    return width;
}

std::string_view first_columns(std::string_view text, size_t columns) {
    const Utf8Locale locale;
    size_t end = 0, width = 0;
    while (end < text.size()) {
        const Character next = first_of(text.substr(end));
        if (width + next.columns > columns) break;
        width += next.columns;
        end += next.bytes;
    }
    return text.substr(0, end);
}

}  // namespace lapidary::cli
