// The one table between the library's fields and the program's options; see field_names.h.
#include "apps/common/field_names.h"

#include <string_view>

namespace lapidary::cli {
namespace {

// A field that another one's name begins with stands behind it.
struct FieldName {
    std::string_view field, flag;
};
constexpr FieldName kFields[] = {
    {"BenchOptions::depth", "--depth"},
    {"BenchOptions::generate", "--generate"},
    {"BenchOptions::prompt", "--prompt"},
    {"EngineOptions::context", "--ctx"},
    {"EngineOptions::device", "--device"},
    {"EngineOptions::gpu_layers", "--gpu-layers"},
    {"EngineOptions::gpu_share", "--split"},
    {"EngineOptions::image_tokens", "--image-tokens"},
    {"EngineOptions::kv", "--kv"},
    {"EngineOptions::mmproj", "--mmproj"},
    {"EngineOptions::placement", "--placement"},
    {"EngineOptions::precise", "--precise"},
    {"EngineOptions::threads", "--threads"},
    {"Excerpt::ids", "--tokens-file"},
    {"Excerpt::random_tokens", "--random-tokens"},
    {"GenerateOptions::schema", "--schema"},
    {"GenerateOptions::stop", "--stop"},
    {"PackOptions::type", "--type"},
    {"ResearchOptions::trace_events", "--trace"},
};

void replace_fields(std::string& text) {
    for (const FieldName& name : kFields)
        for (size_t at = 0; (at = text.find(name.field, at)) != std::string::npos; at += name.flag.size())
            text.replace(at, name.field.size(), name.flag);
}

}  // namespace

Error with_flags(Error error) {
    replace_fields(error.message);
    replace_fields(error.hint);
    return error;
}

}  // namespace lapidary::cli
