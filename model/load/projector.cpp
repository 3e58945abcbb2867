// Compares the projectors beside a model; see projector.h.
#include "model/load/projector.h"

#include <algorithm>
#include <optional>
#include <tuple>

#include "base/describe.h"
#include "base/try.h"
#include "model/load/companions.h"
#include "model/load/gguf_loader.h"

namespace lapidary::model {
namespace {

namespace fs = std::filesystem;
using runtime::Gguf;

const char* name_of(const Inputs& inputs) {
    return inputs.image && inputs.audio ? "pictures and sound" : inputs.image ? "pictures" : "sound";
}

bool covers(const ModelConfig& config, const Inputs& inputs) {
    return (!inputs.image || config.vision) && (!inputs.audio || config.audio);
}

// How exactly the file keeps the published bf16 weights: both larger formats hold them whole.
int exactness(const Gguf& gguf) {
    const runtime::FileTensor* largest = nullptr;
    for (const auto& tensor : gguf.tensors)
        if (tensor.foreign_type.empty() && (!largest || tensor.bytes > largest->bytes)) largest = &tensor;
    if (!largest) return 0;
    switch (largest->format) {
        case kernels::Format::f32: return 3;
        case kernels::Format::bf16: return 2;
        case kernels::Format::f16: return 1;
        default: return 0;
    }
}

struct Candidate {
    Gguf gguf;
    ModelConfig config;  // the model's, with this projector
    int exactness = 0;
    bool same_name = false;
    uint64_t bytes = 0;

    const fs::path& path() const { return gguf.parts.front().path; }
    auto rank() const {
        return std::tuple((config.vision ? 1 : 0) + (config.audio ? 1 : 0), same_name, exactness, bytes);
    }
};

// Opens a projector and tries it on; an error says what does not fit.
Result<Candidate> try_on(const fs::path& path, const ModelConfig& config, const Inputs& wanted) {
    Candidate out;
    LAP_ASSIGN(out.gguf, runtime::open_gguf(path));
    LoadedModel scratch;
    scratch.config = config;
    LAP_TRY(add_projector(out.gguf, {.weights = false}, scratch));
    out.config = scratch.config;
    if (!covers(out.config, wanted))
        return Error{Errc::media_unsupported, concat("it takes no ", out.config.vision ? "sound" : "pictures")};
    out.exactness = exactness(out.gguf);
    const auto* name = out.gguf.find("general.name");
    out.same_name = name && name->text() == config.name;
    for (const auto& tensor : out.gguf.tensors) out.bytes += tensor.bytes;
    return out;
}

struct Comparison {
    std::optional<Candidate> best;
    size_t fitting = 0;
    std::vector<FolderFile> rejected;  // all other files that were looked at, models of text excepted
};

Result<Comparison> compare_projectors(const fs::path& folder, const Inputs& wanted, const ModelConfig& config) {
    Comparison result;
    LAP_ASSIGN(const auto files, look_into_folder(folder));
    for (const FolderFile& file : files) {
        if (file.kind == FileKind::model) continue;
        if (file.kind == FileKind::other) {
            result.rejected.push_back(file);
            continue;
        }
        auto candidate = try_on(file.path, config, wanted);
        if (!candidate) {
            result.rejected.push_back({file.path, file.kind, concat(" does not fit: ", candidate.error().message)});
            continue;
        }
        result.fitting++;
        if (!result.best || candidate->rank() > result.best->rank()) result.best = std::move(*candidate);
    }
    return result;
}

// Said once: which of several was taken, and which projectors were passed over. Other files mean nothing here.
void note_choice(const Comparison& result, LoadedModel& model) {
    std::vector<FolderFile> passed;
    for (const FolderFile& file : result.rejected)
        if (file.kind == FileKind::projector) passed.push_back(file);
    std::string note;
    if (result.best && (result.fitting > 1 || !passed.empty()))
        note = concat("projector: ", in_quotes(result.best->path().filename().string()),
                      result.fitting > 1 ? concat(", the best of ", result.fitting, " that fit") : "");
    if (!passed.empty()) note += concat(note.empty() ? "" : "; ", "projectors passed over: ", list_of(passed));
    if (!note.empty()) model.notes.push_back(std::move(note));
}

Error none_serves(const fs::path& model, const Inputs& wanted, const Comparison& result) {
    const bool projectors = std::any_of(result.rejected.begin(), result.rejected.end(),
                                        [](const auto& file) { return file.kind == FileKind::projector; });
    const std::string beside = in_quotes(model.filename().string());
    return {projectors ? Errc::unsupported_model : Errc::media_unsupported,
            concat("this model takes no ", name_of(wanted),
                   projectors ? ": no projector beside " : ": there is no projector beside ", beside,
                   projectors ? " fits" : "",
                   result.rejected.empty() ? "" : concat(". Looked at: ", list_of(result.rejected))),
            "put the projector (mmproj) of this model beside it, or name it with EngineOptions::mmproj"};
}

Error takes_none(const LoadOptions& options, const char* why) {
    return {Errc::media_unsupported,
            concat("this model takes no ", name_of(options.inputs), ": ", in_quotes(options.model.string()), why),
            "use a checkpoint that has it"};
}

// The projector that a store keeps with the model, and no other: what lies beside it there belongs to others. One that cannot be used
// is an error for who needs it, and a note for who only looks.
Result<void> attach_stored(const LoadOptions& options, LoadedModel& model) {
    const stores::StoredModel& stored = *model.stored;
    const bool needed = options.inputs.image || options.inputs.audio;
    if (stored.projector.empty() && stored.projector_problem.code == Errc::ok)
        return needed ? takes_none(options, concat(": ", title_of(stored.program), " keeps no projector with it").c_str()) : Result<void>();
    const auto usable = stored.projector.empty() ? Result<Candidate>(stored.projector_problem)
                                                 : try_on(stored.projector, model.config, options.inputs);
    if (usable) return add_projector(usable->gguf, options, model);
    if (needed) return usable.error();
    model.notes.push_back(concat("the projector that ", title_of(stored.program), " keeps with the model is not used: ", usable.error().message));
    return {};
}

// The checkpoint may prepare such input in another way than this program can.
Result<void> check_prepared(const ModelConfig& config, const Inputs& inputs) {
    const std::string none;
    for (const std::string& problem :
         {inputs.image ? config.vision->problem : none, inputs.audio ? config.audio->problem : none})
        if (!problem.empty())
            return Error{Errc::unsupported_model, problem,
                         "text works; for this input use the settings of the published model"};
    return {};
}

}  // namespace

Result<void> attach_projector(const LoadOptions& options, LoadedModel& model) {
    const bool complete = covers(model.config, options.inputs);
    if (model.config.vision || model.config.audio || model.source != "gguf") {  // it brings its own
        if (!options.mmproj.empty() && options.mmproj != kNoProjector)
            return Error{Errc::invalid_argument,
                         concat("a projector (", in_quotes(options.mmproj.string()), ") was given, but ",
                                in_quotes(options.model.string()), " brings its own"),
                         "leave EngineOptions::mmproj out"};
        return complete ? check_prepared(model.config, options.inputs) : takes_none(options, " has no part for that");
    }
    if (options.mmproj == kNoProjector)
        return complete ? Result<void>()
                        : takes_none(options, " was opened without a projector (EngineOptions::mmproj is none)");
    if (!options.mmproj.empty()) {
        LAP_ASSIGN(const Gguf gguf, runtime::open_gguf(options.mmproj));
        LAP_TRY(add_projector(gguf, options, model));
        return covers(model.config, options.inputs)
                   ? Result<void>()
                   : takes_none(options, " has a projector without that part");
    }
    if (complete && !options.companions) return {};
    if (model.stored) return attach_stored(options, model);
    const fs::path& file = model.files.front();
    auto result = compare_projectors(file.has_parent_path() ? file.parent_path() : fs::path("."), options.inputs,
                                     model.config);
    if (!result) return complete ? Result<void>() : result.error();
    note_choice(*result, model);
    if (!result->best) return complete ? Result<void>() : none_serves(file, options.inputs, *result);
    return add_projector(result->best->gguf, options, model);
}

}  // namespace lapidary::model
