// Parsing through nlohmann-json's callback, which sees every key and every level; see json_file.h.
#include "runtime/file/json_file.h"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <unordered_set>
#include <vector>

#include "base/describe.h"
#include "base/try.h"

namespace lapidary::runtime {
namespace {

using nlohmann::json;

// Watches the parse: after the first complaint everything else is dropped unread.
class Watch {
  public:
    bool operator()(int depth, json::parse_event_t event, json& parsed) {
        if (!complaint_.empty()) return false;
        if (depth > kMaxJsonDepth)
            return complain(concat("it is nested deeper than ", kMaxJsonDepth, " levels"));
        if (event == json::parse_event_t::object_start) keys_.emplace_back();
        if (event == json::parse_event_t::object_end && !keys_.empty()) keys_.pop_back();
        if (event == json::parse_event_t::key && !keys_.empty()) {
            const auto& key = parsed.get_ref<const std::string&>();
            if (!keys_.back().insert(key).second)
                return complain(concat("the key ", in_quotes(key), " occurs twice"));
        }
        return true;
    }
    const std::string& complaint() const { return complaint_; }

  private:
    bool complain(std::string text) {
        complaint_ = std::move(text);
        return false;
    }
    std::string complaint_;
    std::vector<std::unordered_set<std::string>> keys_;  // of every open object
};

}  // namespace

Result<std::string> read_text_file(const std::filesystem::path& path, uint64_t limit_bytes) {
    std::error_code failed;
    const auto status = std::filesystem::status(path, failed);
    if (!std::filesystem::exists(status))
        return Error{Errc::model_not_found, concat("there is no file ", in_quotes(path.string()))};
    if (!std::filesystem::is_regular_file(status))
        return Error{Errc::bad_model_file, concat(in_quotes(path.string()), " is not a regular file")};
    const uint64_t size = std::filesystem::file_size(path, failed);
    if (failed)
        return Error{Errc::model_not_found,
                     concat("cannot read ", in_quotes(path.string()), ": ", failed.message())};
    if (size > limit_bytes)
        return Error{Errc::bad_model_file,
                     concat(in_quotes(path.string()), " has ", size, " bytes, more than the ", limit_bytes,
                            " that such a file may have")};
    std::ifstream stream(path, std::ios::binary);
    std::string text(size, '\0');
    if (!stream || !stream.read(text.data(), static_cast<std::streamsize>(size)))
        return Error{Errc::model_not_found,
                     concat("cannot read ", in_quotes(path.string()), ": ", std::strerror(errno)),
                     "check the permissions of the file"};
    return text;
}

Result<json> parse_json_object(std::string_view text, const std::string& what) {
    // A copyable callback is required, so the state lives outside.
    Watch watch;
    auto callback = [&watch](int depth, json::parse_event_t event, json& parsed) {
        return watch(depth, event, parsed);
    };
    json parsed = json::parse(text.begin(), text.end(), callback, /*allow_exceptions=*/false);
    if (!watch.complaint().empty())
        return Error{Errc::bad_model_file,
                     concat(in_quotes(what), " is not usable JSON: ", watch.complaint())};
    if (parsed.is_discarded())
        return Error{Errc::bad_model_file, concat(in_quotes(what), " is not valid JSON"),
                     "fetch the file again"};
    if (!parsed.is_object())
        return Error{Errc::bad_model_file, concat(in_quotes(what), " is not a JSON object")};
    return parsed;
}

Result<json> read_json_file(const std::filesystem::path& path, uint64_t limit_bytes) {
    LAP_ASSIGN(const std::string text, read_text_file(path, limit_bytes));
    return parse_json_object(text, path.string());
}

}  // namespace lapidary::runtime
