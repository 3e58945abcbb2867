// Every key of a GGUF model or projector that has a meaning: which values of it this program understands. What asks for another
// computation is refused; what is read past is named in a note, so that nothing is dropped in silence.
#pragma once

#include <string>
#include <vector>

#include "lapidary/result.h"
#include "runtime/file/gguf.h"

namespace lapidary::model {

// Appends notes about keys that are not obeyed.
Result<void> check_gguf_keys(const runtime::Gguf& gguf, std::vector<std::string>& notes);

// The same of a projector: how it wants pictures and sound prepared, and what parts it says to have.
Result<void> check_projector_keys(const runtime::Gguf& projector, std::vector<std::string>& notes);

}  // namespace lapidary::model
