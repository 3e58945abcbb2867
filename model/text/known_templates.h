// Whether a file's own chat template is one that the built-in renderer (chat_template.h) writes like. Templates
// are programs; they are compared, never executed.
#pragma once

#include <string>
#include <string_view>

namespace lapidary::model {

// Empty for no template and for a known one; else a sentence that says what the file brings and what is used.
std::string note_on_template(std::string_view jinja);

}  // namespace lapidary::model
