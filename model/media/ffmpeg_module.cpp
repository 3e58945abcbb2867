// dlopen of the module and the search for it; see ffmpeg_module.h.
#include "model/media/ffmpeg_module.h"

#include <dlfcn.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "base/describe.h"
#include "base/try.h"
#include "model/media/media_bytes.h"

namespace lapidary::model {

namespace {

namespace fs = std::filesystem;

constexpr char kModule[] = "liblapidary_ffmpeg.so";

// Where it may lie, in the order of the header. Names without a folder are the system's to find.
std::vector<fs::path> places() {
    std::vector<fs::path> out;
    std::error_code ignored;
    Dl_info own = {};
    if (dladdr(kModule, &own) == 0 || own.dli_fname == nullptr) return {kModule};
    // A program's own name may be what it was called by.
    const fs::path named(own.dli_fname);
    const bool in_library = named.filename().string().find(".so") != std::string::npos;
    const fs::path file = in_library ? fs::weakly_canonical(named, ignored) : fs::read_symlink("/proc/self/exe", ignored);
    const fs::path folder = file.parent_path(), prefix = folder.parent_path();
    for (const fs::path& place : {folder, prefix / "lib", prefix / LAPIDARY_LIBRARY_FOLDER}) out.push_back(place / kModule);
    out.emplace_back(kModule);
    return out;
}

struct Opened {
    const LapidaryFfmpeg* module = nullptr;
    std::string problem;
};

Opened open_module(const fs::path& path) {
    void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) return {nullptr, concat("it cannot be loaded (", dlerror(), ")")};
    const auto entry = reinterpret_cast<LapidaryFfmpegEntry>(dlsym(library, "lapidary_ffmpeg"));
    const LapidaryFfmpeg* module = entry ? entry() : nullptr;
    if (module == nullptr) return {nullptr, concat(path.string(), " is no FFmpeg module of Lapidary")};
    if (module->interface_version != kLapidaryFfmpegInterface)
        return {nullptr, concat(path.string(), " is of another version of Lapidary (interface ", module->interface_version,
                                ", not ", static_cast<int>(kLapidaryFfmpegInterface), ")")};
    return {module, ""};
}

Opened find_module() {
    const char* set = std::getenv("LAPIDARY_FFMPEG");
    const std::string named = set ? set : "";
    if (named == "none") return {nullptr, "LAPIDARY_FFMPEG is none"};
    if (!named.empty()) return open_module(named);
    for (const fs::path& path : places()) {
        std::error_code ignored;
        if (path.has_parent_path() && !fs::exists(path, ignored)) continue;
        Opened opened = open_module(path);
        if (opened.module != nullptr || path.has_parent_path()) return opened;
    }
    return {nullptr, concat(kModule, " is not beside the library")};
}

}  // namespace

Result<const LapidaryFfmpeg*> ffmpeg_module(std::string_view for_what) {
    static const Opened kOpened = find_module();
    if (kOpened.module != nullptr) return kOpened.module;
    return Error{Errc::media_unsupported,
                 concat(for_what, " needs FFmpeg, whose module is missing here: ", kOpened.problem),
                 "install FFmpeg's libraries (Debian: apt install libavformat-dev libavcodec-dev libswscale-dev "
                 "libswresample-dev) and build lapidary with LAP_FFMPEG=ON; LAPIDARY_FFMPEG names a module elsewhere"};
}

LapidarySource module_source(const MediaSource& source) {
    return {const_cast<MediaSource*>(&source), static_cast<int64_t>(source.size()),
            [](void* user, int64_t offset, uint8_t* target, int64_t count) {
                const auto& from = *static_cast<const MediaSource*>(user);
                return from.read_at(static_cast<uint64_t>(offset), {target, static_cast<size_t>(count)});
            }};
}

Error module_error(std::string_view name, std::string_view what, const LapidaryText& why) {
    const bool lacks_track = std::string_view(why.text).starts_with("it has no");
    return media_error(name, concat(what, ": ", why.text),
                       lacks_track ? "leave it out, or give a file that has one" : "check that it plays elsewhere, or copy or export it again");
}

}  // namespace lapidary::model
