// Finds and opens the FFmpeg module (ffmpeg/interface.h), once per process. Videos and the kinds of sound that libsndfile
// and libmpg123 do not read need it; nothing else does.
#pragma once

#include <memory>
#include <string_view>

#include "lapidary/result.h"
#include "model/media/ffmpeg/interface.h"
#include "model/media/media_source.h"

namespace lapidary::model {

// Looked for in $LAPIDARY_FFMPEG (the path of the module; "none": as if there were none), beside this library or program,
// in the folder of libraries of its prefix, and where the system looks for libraries. media_unsupported where there is
// none, or FFmpeg's own libraries are missing: `for_what` needs it, and the error says what to install.
Result<const LapidaryFfmpeg*> ffmpeg_module(std::string_view for_what);

struct CloseStream {
    const LapidaryFfmpeg* module = nullptr;
    void operator()(LapidaryStream* stream) const { module->close(stream); }
};
using StreamPtr = std::unique_ptr<LapidaryStream, CloseStream>;

// The module's view of a source, which must outlive it.
LapidarySource module_source(const MediaSource& source);

// "<name>: <type>: <why>".
Error module_error(std::string_view name, std::string_view what, const LapidaryText& why);

}  // namespace lapidary::model
