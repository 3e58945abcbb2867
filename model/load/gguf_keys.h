// Every key of a GGUF model that has a meaning: which values of it this program understands. What asks for another
// computation is refused; what is read past is named in a note, so that nothing is dropped in silence.
#pragma once

#include <string>
#include <vector>

#include "lapidary/result.h"
#include "runtime/file/gguf.h"

namespace lapidary::model {

// Appends notes about keys that are not obeyed.
Result<void> check_gguf_keys(const runtime::Gguf& gguf, std::vector<std::string>& notes);

}  // namespace lapidary::model
