// The library names options as its headers do (EngineOptions::context); who sits at a shell knows them as --ctx.
#pragma once

#include <string>

#include "lapidary/result.h"

namespace lapidary::cli {

// The error with the program's options in place of the library's fields, in message and hint.
Error with_flags(Error error);

}  // namespace lapidary::cli
