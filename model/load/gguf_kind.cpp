// Told by general.type, general.architecture and the keys that only one kind has; see gguf_kind.h.
#include "model/load/gguf_kind.h"

#include <algorithm>

#include "base/describe.h"
#include "base/try.h"
#include "model/load/config_check.h"
#include "model/load/gguf_fields.h"

namespace lapidary::model {
namespace {

using runtime::Gguf;

constexpr std::string_view kDrafters[] = {"gemma4-assistant", "gemma4_assistant", "gemma4_mtp", "eagle3", "dflash"};

bool has_key_in(const Gguf& gguf, std::string_view prefix) {
    return std::any_of(gguf.metadata.begin(), gguf.metadata.end(),
                       [&](const auto& entry) { return entry.first.starts_with(prefix); });
}

Error is(const GgufFields& general, const std::string& what, const char* hint) {
    return {Errc::unsupported_model, concat(general.file(), ": this is ", what), hint};
}

std::string_view text_of(const Gguf& gguf, std::string_view key) {
    const auto* value = gguf.find(key);
    return value ? value->text().value_or(std::string_view()) : std::string_view();
}

}  // namespace

bool is_projector(const Gguf& gguf) {
    return text_of(gguf, "general.type") == "mmproj" || text_of(gguf, "general.architecture") == "clip";
}

Result<void> require_text_model(const Gguf& gguf) {
    const GgufFields general(gguf, "");
    LAP_ASSIGN(const std::string type, general.text("general.type", ""));
    LAP_ASSIGN(const std::string architecture, general.text("general.architecture", ""));
    const std::string named = architecture.empty() ? "" : concat(" (", in_quotes(architecture), ")");
    if (type == "imatrix" || has_key_in(gguf, "imatrix."))
        return is(general, "an importance matrix, which quantisers use, not a model", "give the model itself");
    if (type == "adapter" || has_key_in(gguf, "adapter."))
        return is(general, concat("an adapter (LoRA)", named, ", not a model"),
                  "merge it into the model it belongs to, and give that");
    if (architecture == "controlvector" || has_key_in(gguf, "controlvector."))
        return is(general, "a control vector, not a model", "give the model itself");
    if (is_projector(gguf))
        return is(general, "a projector for pictures and sound",
                  "give the model itself here, and this one as EngineOptions::mmproj");
    if (std::find(std::begin(kDrafters), std::end(kDrafters), architecture) != std::end(kDrafters))
        return is(general, concat("a drafter", named, ", not a model"),
                  "give the model it belongs to; drafting is not available in this version");
    if (!type.empty() && type != "model")
        return is(general, concat("of the type ", in_quotes(type), ", not a model"), "give the model itself");
    if (architecture.empty()) return general.wrong("general.architecture", "\"gemma4\"");
    if (architecture != "gemma4")
        return other_architecture(concat(general.file(), ": the architecture is ", in_quotes(architecture)));
    const bool vocabulary = gguf.find("tokenizer.ggml.tokens") != nullptr;
    if (gguf.tensors.empty() && !(vocabulary && gguf.extent == runtime::Extent::front))
        return is(general, vocabulary ? "a vocabulary only, without weights" : "a header only, without vocabulary and weights",
                  "give the model itself");
    return {};
}

}  // namespace lapidary::model
