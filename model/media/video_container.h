// What the outermost structure of a container says of its own length: decoders below us take a cut file for a short one.
#pragma once

#include "lapidary/result.h"
#include "model/media/media_source.h"

namespace lapidary::model {

// media_unsupported where the file ends before the parts of an MP4 or MOV, the segment of a Matroska or the list of an AVI
// do. Others say nothing, and pass.
Result<void> check_whole(const MediaSource& source);

}  // namespace lapidary::model
