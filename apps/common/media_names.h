// What people write where the name of a picture or recording belongs, and what is none: - for standard input, pipes of
// the shell, URLs. Told with what to do instead, before a file of that name is looked for.
#pragma once

#include <span>

#include "lapidary/lapidary.h"

namespace lapidary::cli {

Result<void> check_media_names(std::span<const Part> parts);

}  // namespace lapidary::cli
