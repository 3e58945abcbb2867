// Synthetic models by name.
#include "model/synth/options.h"

#include "base/try.h"

namespace lapidary {

Result<model::SynthOptions> synth_options(const SynthOptions& o) {
    model::SynthOptions out;
    out.out = o.out;
    out.layers = o.layers;
    if (o.progress) out.progress = [sink = o.progress](uint64_t done, uint64_t total) {
            return sink("write", done, total); };
    const auto unknown = [](const char* what, const std::string& name, const char* possible) {
        return Error{Errc::invalid_argument, std::string("unknown ") + what + " '" + name + "'", possible};
    };
    if (o.preset == "tiny")
        out.preset = model::SynthPreset::tiny;
    else if (o.preset != "12b")
        return unknown("preset", o.preset, "presets are 12b and tiny");
    if (o.format == "hf")
        out.format = model::SynthContainer::hf;
    else if (o.format != "gguf")
        return unknown("format", o.format, "formats are gguf and hf");
    const std::string type = !o.type.empty() ? o.type : o.format == "hf" ? "bf16" : "q4_0";
    for (int f = 0; f < kernels::kFormats; ++f) {
        out.type = static_cast<kernels::Format>(f);
        if (type == kernels::name(out.type)) return out;
    }
    return unknown("type", type, "types are q4_0, q8_0, q4_k, q6_k, bf16 and f16");
}

Result<void> synth(const SynthOptions& options) {
    LAP_ASSIGN(const model::SynthOptions synthetic, synth_options(options));
    return model::write_synthetic(synthetic);
}

}  // namespace lapidary
