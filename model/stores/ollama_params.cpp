// Names as in Ollama's api.Options; see ollama_params.h.
#include "model/stores/ollama_params.h"

#include <cfloat>

#include "base/describe.h"
#include "base/utf8.h"
#include "runtime/file/json_file.h"

namespace lapidary::stores {
namespace {

using nlohmann::json;

constexpr size_t kMostStops = 64;

// As a note shows it: the JSON of it, cut.
std::string shown(const json& value) {
    constexpr size_t kShown = 40;
    const std::string text = value.dump(-1, ' ', false, json::error_handler_t::replace);
    return text.size() <= kShown ? text : concat(first_bytes(text, kShown), "...");
}

// Texts that a reply can end at: empty and broken ones cannot be.
bool take_stops(const json& value, std::vector<std::string>& stops) {
    const json list = value.is_string() ? json::array({value}) : value;
    if (!list.is_array() || list.size() > kMostStops) return false;
    for (const json& item : list) {
        if (!item.is_string() || item.get_ref<const std::string&>().empty()) return false;
        stops.push_back(item.get<std::string>());
    }
    return true;
}

bool take_number(const json& value, double low, double high, std::optional<double>& out) {
    if (!value.is_number()) return false;
    const double number = value.get<double>();
    if (!(number >= low && number <= high)) return false;
    out = number;
    return true;
}

bool take_top_k(const json& value, std::optional<int32_t>& out) {
    if (!value.is_number_integer()) return false;
    const auto number = value.get<int64_t>();
    if (number > INT32_MAX || number < -1) return false;
    out = number < 0 ? 0 : static_cast<int32_t>(number);  // -1: off
    return true;
}

}  // namespace

StoredDefaults read_params(const std::string& text, const std::string& where, std::vector<std::string>& notes) {
    StoredDefaults out;
    const auto parsed = runtime::parse_json_object(text, where);
    if (!parsed) {
        notes.push_back(concat("the parameters that are kept with the model are not used: ", parsed.error().message));
        return out;
    }
    for (const auto& item : parsed->items()) {
        const std::string& key = item.key();
        const json& value = item.value();
        std::vector<std::string> stops;
        bool taken = true, known = true;
        if (key == "temperature") taken = take_number(value, 0, FLT_MAX, out.temperature);
        else if (key == "top_p") taken = take_number(value, FLT_MIN, 1, out.top_p);
        else if (key == "min_p") taken = take_number(value, 0, 1, out.min_p);
        else if (key == "top_k") taken = take_top_k(value, out.top_k);
        else if (key == "stop") taken = take_stops(value, stops);
        else known = false;
        if (known && taken) out.stop.insert(out.stop.end(), stops.begin(), stops.end());
        else if (known) notes.push_back(concat(in_quotes(where), ": ", key, " is ", shown(value), ", which makes no sense; it is not used"));
        else out.unused.push_back(concat(key, " ", shown(value)));
    }
    return out;
}

}  // namespace lapidary::stores
