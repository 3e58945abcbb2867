// Reads tokenizer.json. An event (SAX) reader, not a document tree: the real file is 32 MB with half a
// million merges. Only its settings, which are small, become a tree.
#include "model/text/tokenizer_reader.h"

#include <algorithm>
#include <limits>

#include "base/describe.h"
#include "model/text/vocabulary_build.h"

namespace lapidary::model {
namespace {

using nlohmann::json;

// A JSON document put together from events; bounded, because a settings part of a million values is no settings.
class SettingsTree {
  public:
    bool value(json item) { return put(std::move(item)) != nullptr; }
    bool open(json container) {
        json* const place = put(std::move(container));
        if (place) open_.push_back(place);
        return place != nullptr;
    }
    void close() { open_.pop_back(); }
    void key(std::string name) { key_ = std::move(name); }
    json take() { return std::move(root_); }

  private:
    json* put(json item) {
        constexpr size_t kMostValues = size_t{1} << 20;
        if (++values_ > kMostValues) return nullptr;
        if (open_.empty()) {
            root_ = std::move(item);
            return &root_;
        }
        json& parent = *open_.back();
        if (parent.is_object()) return &(parent[key_] = std::move(item));
        parent.push_back(std::move(item));
        return &parent.back();
    }

    json root_;
    std::vector<json*> open_;  // a container does not move while one inside it is open
    std::string key_;
    size_t values_ = 0;
};

// Depth 1 is the file's object, depth 2 what "model" holds.
class Reader : public json::json_sax_t {
  public:
    TokenizerFile file;
    std::string error;

    bool null() override { return in_bulk() ? wrong_scalar() : setting(nullptr); }
    bool boolean(bool value) override { return in_bulk() ? wrong_scalar() : setting(value); }
    bool number_integer(number_integer_t value) override { return in_bulk() ? id(value) : setting(value); }
    bool number_unsigned(number_unsigned_t value) override {
        constexpr auto kMost = static_cast<number_unsigned_t>(std::numeric_limits<int64_t>::max());
        return in_bulk() ? id(static_cast<int64_t>(std::min(value, kMost))) : setting(value);
    }
    bool number_float(number_float_t value, const string_t&) override {
        if (!in_bulk()) return setting(value);
        return part_ == Part::vocab ? fail("the id of " + in_double_quotes(key_) + " is not a whole number")
                                    : wrong_scalar();
    }
    bool binary(binary_t&) override { return true; }
    bool string(string_t& value) override {
        if (!in_bulk()) return setting(value);
        return part_ == Part::merges ? merge_text(value) : wrong_scalar();
    }
    bool start_object(size_t) override {
        ++depth_;
        if (!in_bulk()) return tree_.open(json::object()) || too_many();
        return (part_ == Part::vocab && depth_ == 3) || fail("its vocabulary or a merge is an object of another kind");
    }
    bool start_array(size_t) override {
        ++depth_;
        if (!in_bulk()) return tree_.open(json::array()) || too_many();
        if (part_ == Part::merges && depth_ == 4) merge_start_ = file.merge_parts.size();
        return (part_ == Part::merges && depth_ <= 4) || fail("its vocabulary or a merge is a list of another kind");
    }
    bool end_object() override { return end(); }
    bool end_array() override {
        if (in_bulk() && depth_ == 4 && file.merge_parts.size() != merge_start_ + 2)
            return fail(concat("merge ", merge_start_ / 2, " does not have two parts"));
        return end();
    }
    bool key(string_t& value) override {
        if (in_bulk()) {
            key_.swap(value);
            return true;
        }
        if (depth_ == 1) in_model_ = value == "model";
        if (depth_ == 2)
            part_ = !in_model_ ? Part::setting : value == "vocab" ? Part::vocab : value == "merges" ? Part::merges : Part::setting;
        tree_.key(std::move(value));
        return true;
    }
    bool parse_error(size_t position, const std::string&, const nlohmann::detail::exception&) override {
        return fail(concat("not valid JSON at byte ", position));
    }
    void finish() { file.settings = tree_.take(); }

  private:
    enum class Part { setting, vocab, merges };

    bool in_bulk() const { return part_ != Part::setting && depth_ >= 3; }
    bool fail(std::string message) {
        if (error.empty()) error = std::move(message);
        return false;
    }
    bool too_many() { return fail("its settings have more than a million values"); }
    bool setting(json value) { return tree_.value(std::move(value)) || too_many(); }
    bool wrong_scalar() {
        return part_ == Part::vocab ? fail("the id of " + in_double_quotes(key_) + " is not a number")
                                    : fail(concat("merge ", file.merge_parts.size() / 2, " is not a text"));
    }
    bool end() {
        if (!in_bulk()) tree_.close();
        if (--depth_ == 2) part_ = Part::setting;
        return true;
    }
    bool id(int64_t value);
    bool merge_text(const std::string& value);

    SettingsTree tree_;
    int depth_ = 0;
    bool in_model_ = false;
    Part part_ = Part::setting;
    std::string key_;  // the piece whose id comes next
    size_t merge_start_ = 0;
};

bool Reader::id(int64_t value) {
    if (part_ != Part::vocab) return wrong_scalar();
    if (value < 0 || value >= kMaxPieces)
        return fail(concat("piece ", in_double_quotes(key_), " has the id ", value, ", outside 0..", kMaxPieces - 1));
    file.pieces.push_back({value, file.keep(key_)});
    return true;
}

// A merge is ["left", "right"] or, in older files, "left right".
bool Reader::merge_text(const std::string& value) {
    if (depth_ == 4) {
        file.merge_parts.push_back(file.keep(value));
        return true;
    }
    const size_t space = value.find(' ', 1);
    if (space == std::string::npos)
        return fail(concat("merge ", file.merge_parts.size() / 2, " ", in_double_quotes(value), " is not \"left right\""));
    file.merge_parts.push_back(file.keep(std::string_view(value).substr(0, space)));
    file.merge_parts.push_back(file.keep(std::string_view(value).substr(space + 1)));
    return true;
}

}  // namespace

Error bad_tokenizer(std::string message) {
    return {Errc::bad_model_file, std::move(message),
            "tokenizer.json is damaged or not this model's; fetch it again"};
}

Error unsupported_tokenizer(std::string message) {
    return {Errc::unsupported_model, std::move(message),
            "this library cuts text as Gemma 4's byte-fallback BPE does, and in no other way"};
}

Result<TokenizerFile> read_tokenizer_file(std::string_view tokenizer_json) {
    Reader reader;
    reader.file.text.reserve(tokenizer_json.size() / 2);
    const bool read = json::sax_parse(tokenizer_json.begin(), tokenizer_json.end(), &reader);
    if (!read || !reader.error.empty()) return bad_tokenizer(reader.error.empty() ? "not valid JSON" : reader.error);
    reader.finish();
    if (!reader.file.settings.is_object()) return bad_tokenizer("it is not a JSON object");
    return std::move(reader.file);
}

}  // namespace lapidary::model
