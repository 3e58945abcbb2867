// Packing: the model's tensors through TensorPacker into a .lapidary file, with everything else that its
// loader reads. The comparison afterwards is layerwise.cpp's.
#include <chrono>
#include <new>

#include "base/describe.h"
#include "base/try.h"
#include "base/utf8.h"
#include "kernels/select.h"
#include "lapidary/tools.h"
#include "model/engine_state.h"
#include "model/packing/pack_plan.h"
#include "model/tools/layerwise.h"
#include "runtime/cpu/make_cpu_device.h"
#include "runtime/file/gguf_parse.h"
#include "runtime/file/gguf_writer.h"
#include "runtime/file/json_file.h"
#include "runtime/file/lapidary_file.h"
#include "runtime/file/lapidary_writer.h"

namespace lapidary {
namespace {

namespace fs = std::filesystem;
using model::LoadedModel;
using model::TensorPlan;

constexpr uint64_t kMaxTextBytes = 64 << 20;
constexpr uint32_t kMaxKldTokens = 512;

Result<void> check_target(const PackOptions& options, const LoadedModel& source) {
    std::error_code ignored;
    if (options.out.empty())
        return Error{Errc::invalid_argument, "no file to write was named", "name OUT.lapidary"};
    for (const fs::path& file : source.files)
        if (fs::equivalent(file, options.out, ignored))
            return Error{Errc::invalid_argument,
                         concat(in_quotes(options.out.string()), " is the model itself"), "name a new file"};
    if (fs::exists(options.out, ignored) && !runtime::is_lapidary_file(options.out))
        return Error{Errc::invalid_argument,
                     concat(in_quotes(options.out.string()), " exists and is not a .lapidary file"),
                     "name a new file, or remove this one"};
    return {};
}

// Seconds since 1970; 0 when the file does not say.
int64_t modified_s(const fs::path& file) {
    std::error_code failed;
    const auto time = fs::last_write_time(file, failed);
    if (failed) return 0;
    const auto system = std::chrono::file_clock::to_sys(time);
    return std::chrono::duration_cast<std::chrono::seconds>(system.time_since_epoch()).count();
}

// A GGUF's own word for its mixture would be wrong after another one was made.
Result<std::string> without_file_type(const std::string& metadata, const std::string& file) {
    LAP_ASSIGN(const auto header, runtime::parse_gguf(metadata, file));
    runtime::GgufWriter out;
    for (const auto& [key, value] : header.metadata)
        if (key != "general.file_type") out.add_value(key, value);
    return out.header();
}

Result<void> add_texts(LoadedModel& source, bool quantised, runtime::LapidaryWriter& out) {
    for (auto& [name, text] : source.texts) {
        if (quantised && source.source == "gguf") {
            LAP_ASSIGN(text, without_file_type(text, source.files.front().string()));
        }
        out.add_text(name, std::move(text));
    }
    return {};
}

PackedTensor describe(const model::SourceTensor& tensor, const TensorPlan& plan,
                      const model::PackError& error) {
    PackedTensor out;
    out.name = tensor.name;
    out.from = tensor.type();
    out.to = kernels::name(plan.format);
    out.panels = plan.layout == runtime::Layout::panels;
    out.shape = tensor.shape;
    out.bytes = tensor.bytes_as(plan.format, plan.layout);
    out.rms = error.rms;
    out.rmse = error.rmse;
    out.max_error = error.max;
    return out;
}

Result<void> write_model(const PackOptions& options, LoadedModel& source, const kernels::KernelTable& table,
                         runtime::ThreadPool& pool, PackReport& report) {
    LAP_ASSIGN(const auto type, model::pack_type(options.type));
    std::erase_if(source.tensors, [](const model::SourceTensor& t) { return !t.used; });
    const auto& tensors = source.tensors;
    const auto plans = model::plan_tensors(tensors, type);
    runtime::LapidaryWriter out(source.source, source.config.name,
                                concat("lapidary ", std::string(version())));
    for (const fs::path& file : source.files) {
        std::error_code ignored;
        out.add_source({file.filename().string(), fs::file_size(file, ignored), modified_s(file)});
    }
    LAP_TRY(add_texts(source, type.has_value(), out));
    for (size_t i = 0; i < tensors.size(); i++) {
        out.add_tensor(tensors[i], tensors[i].group, plans[i].format, plans[i].layout);
        report.source_bytes += tensors[i].bytes;
    }
    LAP_TRY(out.start(options.out));
    model::TensorPacker packer(table, pool);
    uint64_t done = 0;
    const auto progress = [&](uint64_t bytes) {
        done += bytes;
        return !options.progress || options.progress("pack", done, report.source_bytes);
    };
    const auto sink = [&](const void* bytes, size_t count) { return out.write(bytes, count); };
    for (size_t i = 0; i < tensors.size(); i++) {
        LAP_ASSIGN(const model::PackError error, packer.pack(tensors[i], plans[i], sink, progress));
        report.tensors.push_back(describe(tensors[i], plans[i], error));
    }
    LAP_ASSIGN(report.bytes, out.finish());
    return {};
}

// Begin-of-text and the first tokens of the text, no more than wanted.
Result<std::vector<int32_t>> tokens_of(const std::string& text, const PackOptions& options,
                                       const LoadedModel& source) {
    if (!source.vocabulary)
        return Error{Errc::bad_model_file, "this model has no usable tokenizer: " + source.vocabulary_problem,
                     "pack it without a comparison"};
    LAP_ASSIGN(const auto tokenizer, model::Tokenizer::create(*source.vocabulary));
    LAP_ASSIGN(auto ids, tokenizer.encode(text, {.add_bos = true}));
    if (ids.size() < 2)
        return Error{Errc::invalid_argument, concat(in_quotes(options.kld_text.string()), " holds no text"),
                     "name a text of some hundred words"};
    ids.resize(std::min<size_t>(ids.size(), options.kld_tokens));
    return ids;
}

Result<std::vector<int32_t>> read_text(const PackOptions& options, const LoadedModel& source) {
    if (options.kld_text.empty()) return std::vector<int32_t>();
    if (options.kld_tokens < 2 || options.kld_tokens > kMaxKldTokens)
        return Error{Errc::invalid_argument,
                     concat("a comparison over ", options.kld_tokens, " tokens was asked for"),
                     concat("use 2 to ", kMaxKldTokens)};
    std::error_code ignored;
    if (!fs::exists(options.kld_text, ignored))
        return Error{Errc::not_found, concat("there is no file ", in_quotes(options.kld_text.string())),
                     "check the path"};
    auto text = runtime::read_text_file(options.kld_text, kMaxTextBytes);
    if (!text) return Error{Errc::io_error, text.error().message, text.error().hint};
    return tokens_of(without_byte_order_mark(std::move(*text)), options, source);
}

double seconds_since(std::chrono::steady_clock::time_point start) {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

Result<void> compare(const PackOptions& options, const std::vector<int32_t>& ids,
                     const kernels::KernelTable& table, int threads, PackReport& report) {
    const auto start = std::chrono::steady_clock::now();
    LAP_ASSIGN(const LoadedModel base, model::load_model({.model = options.model, .mmproj = options.mmproj}));
    LAP_ASSIGN(const LoadedModel other, model::load_model({.model = options.out}));
    LAP_ASSIGN(const auto device,
               runtime::make_cpu_device({.level = &table, .threads = {threads, threads}, .race = false}, {}));
    LAP_ASSIGN(report.divergence,
               model::layerwise_divergence(base, other, ids, *device, [&](uint64_t done, uint64_t total) {
                   return !options.progress || options.progress("compare", done, total);
               }));
    report.compared = true;
    report.compare_seconds = seconds_since(start);
    return {};
}

}  // namespace

Result<PackReport> pack(const PackOptions& options) try {
    const auto start = std::chrono::steady_clock::now();
    LAP_ASSIGN(const int threads, thread_count(options.threads));
    LAP_ASSIGN(const kernels::KernelTable* table, kernel_table(options.cpu_level));
    LAP_TRY(model::pack_type(options.type));
    LAP_ASSIGN(LoadedModel source,
               model::load_model(
                   {.model = options.model,
                    .mmproj = options.mmproj,
                    .companions = true,
                    .weights = false,
                    .carry = true}));
    PackReport report;
    LAP_TRY(check_target(options, source));
    report.notes = source.notes;
    if (source.stored && !(source.system.empty() && source.stored->defaults.empty()))
        report.notes.push_back(concat("parameters and system prompt that ", title_of(source.stored->program), " keeps with the model are not in the packed file"));
    LAP_ASSIGN(const auto ids, read_text(options, source));
    {
        runtime::ThreadPool pool(threads);
        LAP_TRY(write_model(options, source, *table, pool, report));
    }
    report.seconds = seconds_since(start);
    source = {};
    if (!ids.empty()) LAP_TRY(compare(options, ids, *table, threads, report));
    return report;
} catch (const std::bad_alloc&) {
    return memory_ran_out();
}

Result<uint64_t> verify(const fs::path& file, const ProgressSink& progress) try {
    std::error_code ignored;
    if (fs::exists(file, ignored) && !runtime::is_lapidary_file(file))
        return Error{Errc::invalid_argument,
                     concat(in_quotes(file.string()), " is not a .lapidary file: only those carry checksums"),
                     "make one with `lapidary pack`"};
    LAP_ASSIGN(const auto opened, runtime::open_lapidary(file));
    uint64_t bytes = 0;
    LAP_TRY(runtime::verify_lapidary(opened, [&](uint64_t done, uint64_t total) {
        bytes = done;
        return !progress || progress("verify", done, total);
    }));
    return bytes;
} catch (const std::bad_alloc&) {
    return memory_ran_out();
}

}  // namespace lapidary
