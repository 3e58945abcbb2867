// A packed model in the form its source had when it was opened; see lapidary_loader.h.
#include "model/load/lapidary_loader.h"

#include <ctime>

#include "base/describe.h"
#include "base/try.h"
#include "model/load/gguf_loader.h"
#include "model/load/hf_loader.h"
#include "runtime/file/gguf_parse.h"
#include "runtime/file/lapidary_file.h"

namespace lapidary::model {
namespace {

using runtime::Extent;
using runtime::Gguf;
using runtime::LapidaryFile;

Result<Gguf> gguf_of(const LapidaryFile& file, const char* group, Extent extent) {
    LAP_ASSIGN(auto header, runtime::parse_gguf(file.text(group), file.path.string()));
    Gguf out;
    out.extent = extent;
    out.metadata = std::move(header.metadata);
    out.parts.push_back({file.path, file.buffer});
    for (const auto& tensor : file.tensors)
        if (tensor.group == group) out.tensors.push_back(tensor);
    return out;
}

runtime::Safetensors safetensors_of(const LapidaryFile& file) {
    runtime::Safetensors out;
    out.parts.push_back({file.path, file.buffer});
    out.tensors.assign(file.tensors.begin(), file.tensors.end());
    return out;
}

Extent extent_of(const LoadOptions& options) { return options.prompts_only ? Extent::front : Extent::whole; }

Result<LoadedModel> load_from_gguf(const LapidaryFile& file, const LoadOptions& options) {
    LAP_ASSIGN(const Gguf text, gguf_of(file, kTextGroup, extent_of(options)));
    LAP_ASSIGN(LoadedModel model, load_gguf_model(text, options));
    if (!file.has_text(kProjectorGroup)) return model;
    LAP_ASSIGN(const Gguf projector, gguf_of(file, kProjectorGroup, extent_of(options)));
    LAP_TRY(add_projector(projector, options, model));
    return model;
}

std::string day_of(int64_t seconds) {
    const auto time = static_cast<std::time_t>(seconds);
    std::tm parts = {};
    char text[32] = "";
    if (gmtime_r(&time, &parts)) std::strftime(text, sizeof text, "%Y-%m-%d", &parts);
    return text;
}

void describe_packing(const LapidaryFile& file, LoadedModel& model) {
    std::string sources;
    for (const auto& source : file.sources)
        sources += concat(sources.empty() ? "" : ", ", source.name, " (", source.bytes, " bytes, ",
                          day_of(source.modified_s), ")");
    model.metadata.emplace_back("packed by", file.writer);
    model.metadata.emplace_back("packed from", sources);
}

}  // namespace

Result<LoadedModel> load_lapidary_file(const LoadOptions& options) {
    LAP_ASSIGN(const LapidaryFile file, runtime::open_lapidary(options.model, extent_of(options)));
    Result<LoadedModel> loaded =
        file.kind == "gguf" ? load_from_gguf(file, options)
        : file.kind == "hf" ? load_hf_model(TextFiles(file), safetensors_of(file), options)
                            : Error{Errc::unsupported_model,
                                    concat(in_quotes(options.model.string()), " was packed from ",
                                           in_quotes(file.kind), ", which this version does not know"),
                                    "pack the model again with this version"};
    if (!loaded) return loaded;
    loaded->packed = true;
    describe_packing(file, *loaded);
    return loaded;
}

}  // namespace lapidary::model
