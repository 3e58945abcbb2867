// Two places for the same texts; see text_files.h.
#include "model/load/text_files.h"

#include "base/describe.h"
#include "base/try.h"
#include "runtime/file/json_file.h"

namespace lapidary::model {

bool TextFiles::has(const std::string& name) const {
    if (packed_) return packed_->has_text(name);
    std::error_code ignored;
    return std::filesystem::exists(folder_ / name, ignored);
}

Result<std::string> TextFiles::read(const std::string& name, uint64_t limit_bytes) const {
    if (!packed_) return runtime::read_text_file(folder_ / name, limit_bytes);
    if (!packed_->has_text(name))
        return Error{Errc::bad_model_file, concat(in_quotes(packed_->path.string()), " holds no ", name),
                     "pack the model again"};
    const std::string_view text = packed_->text(name);
    if (text.size() > limit_bytes)
        return Error{Errc::bad_model_file,
                     concat(in_quotes(where(name)), " has ", text.size(), " bytes, more than the ",
                            limit_bytes, " that it may have")};
    return std::string(text);
}

Result<std::string> TextFiles::read_if_present(const std::string& name, uint64_t limit_bytes) const {
    if (!has(name)) return std::string();
    return read(name, limit_bytes);
}

Result<nlohmann::json> TextFiles::read_json(const std::string& name) const {
    LAP_ASSIGN(const std::string text, read(name, runtime::kMaxConfigBytes));
    return runtime::parse_json_object(text, where(name));
}

std::string TextFiles::where(const std::string& name) const {
    return packed_ ? concat(packed_->path.string(), ":", name) : (folder_ / name).string();
}

std::string TextFiles::title() const {
    if (packed_) return packed_->title;
    std::error_code gone;  // the folder that a relative path begins at
    const auto whole = std::filesystem::absolute(folder_, gone);
    return (gone ? folder_ : whole).lexically_normal().filename().string();
}

}  // namespace lapidary::model
