// See outbox.h.
#include "apps/chat/outbox.h"

#include <utility>

#include "apps/common/files.h"
#include "apps/common/prompt.h"
#include "base/try.h"

namespace lapidary::cli {

Result<void> Outbox::add_medium(Part::Kind kind, const std::string& file, const VideoFrames& frames) {
    Part part;
    part.kind = kind;
    part.path = file;
    part.frames = frames;
    LAP_TRY(check_medium(part));
    (kind == Part::Kind::audio ? after_ : before_).push_back(std::move(part));
    names_.push_back(file);
    return {};
}

Result<void> Outbox::add_text(const std::string& file) {
    LAP_ASSIGN(std::string text, read_plain_text(file));
    texts_.push_back(std::move(text));
    names_.push_back(file);
    return {};
}

Needs Outbox::needs() const { return {.text = true, .image = !before_.empty(), .audio = !after_.empty()}; }

Message Outbox::take(const std::string& typed) {
    Message message{.role = Role::user};
    std::string text;
    for (const std::string& file : texts_) text += file + (file.ends_with('\n') ? "\n" : "\n\n");
    text += typed;
    message.plain_string = before_.empty() && after_.empty();
    message.parts = std::move(before_);
    if (!text.empty()) message.parts.push_back(Part::text(std::move(text)));
    for (Part& part : after_) message.parts.push_back(std::move(part));
    clear();
    return message;
}

}  // namespace lapidary::cli
