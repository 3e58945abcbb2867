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

}  // namespace

size_t text_width(std::string_view text) {
    if (std::all_of(text.begin(), text.end(), [](char c) { return c >= 0x20 && c < 0x7f; })) return text.size();
    const Utf8Locale locale;
    size_t width = 0;
    mbstate_t state = {};
    for (size_t at = 0; at < text.size();) {
        wchar_t character = 0;
        const size_t length = mbrtowc(&character, text.data() + at, text.size() - at, &state);
        if (length == 0 || length > text.size()) {  // no character in this locale
            state = {};
            width += (text[at] & 0xC0) != 0x80;
            at++;
            continue;
        }
        width += static_cast<size_t>(std::max(wcwidth(character), 0));
        at += length;
    }
    return width;
}

}  // namespace lapidary::cli
