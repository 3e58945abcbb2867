// The JSON of measured rates; see rates_store.h.
#include "runtime/plan/rates_store.h"

#include <xxhash.h>

#include <cmath>
#include <cstdio>
#include <system_error>

#include "base/describe.h"
#include "base/try.h"
#include "runtime/file/json_file.h"
#include "runtime/file/output_file.h"

namespace lapidary::runtime {
namespace {

using nlohmann::json;

constexpr int kFormat = 2;
constexpr uint64_t kMaxFileBytes = 1 << 20;

struct Field {
    const char* name;
    double Rates::* value;
};
constexpr Field kFields[] = {{"read_gbps", &Rates::read_gbps},
                             {"read_gbps_together", &Rates::read_gbps_together},
                             {"few_gmacs", &Rates::few_gmacs},
                             {"many_gmacs", &Rates::many_gmacs},
                             {"many_gmacs_together", &Rates::many_gmacs_together},
                             {"attention_gmacs", &Rates::attention_gmacs},
                             {"token_f16_gmacs", &Rates::token_f16_gmacs},
                             {"token_q8_gmacs", &Rates::token_q8_gmacs}};

json to_json(const Rates& rates) {
    json out = json::object();
    for (const Field& f : kFields) out[f.name] = rates.*f.value;
    return out;
}

std::optional<double> number_in(const json& object, const char* name) {
    const auto found = object.find(name);
    if (found == object.end() || !found->is_number()) return std::nullopt;
    const double value = found->get<double>();
    return std::isfinite(value) && value >= 0 && value < 1e9 ? std::optional(value) : std::nullopt;
}

std::string text_in(const json& object, const char* name) {
    const auto found = object.find(name);
    return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

std::optional<Rates> rates_in(const json& entry, const char* device) {
    const auto found = entry.find(device);
    if (found == entry.end() || !found->is_object()) return std::nullopt;
    Rates rates;
    for (const Field& f : kFields) {
        const auto value = number_in(*found, f.name);
        if (!value) return std::nullopt;
        rates.*f.value = *value;
    }
    return rates.known() ? std::optional(rates) : std::nullopt;
}

std::optional<MeasuredRates> entry_in(const json& entry, bool gpu) {
    if (!entry.is_object()) return std::nullopt;
    MeasuredRates out;
    const auto cpu = rates_in(entry, "cpu");
    const auto handover = number_in(entry, "handover_us");
    if (!cpu || !handover) return std::nullopt;
    out.cpu = *cpu;
    out.handover_s = *handover * 1e-6;
    out.meeting_s = number_in(entry, "meeting_us").value_or(0) * 1e-6;
    out.time = text_in(entry, "time");
    if (gpu) out.gpu = rates_in(entry, "gpu");
    return gpu && !out.gpu ? std::nullopt : std::optional(out);
}

// What of the file's head is older or another's; empty: nothing.
std::string stranger(const json& head, const RatesKey& key) {
    const auto format = head.find("lapidary_rates"), threads = head.find("threads");
    if (format == head.end() || *format != kFormat) return concat("it is not of form ", kFormat, ", which this version writes");
    const bool same_threads = threads != head.end() && threads->is_number_integer() && *threads == key.threads;
    const auto other = [&](const char* what, const std::string& theirs, const std::string& ours) {
        return concat("measured with ", what, " ", in_quotes(theirs), ", not ", in_quotes(ours));
    };
    for (const auto& [name, ours] : {std::pair<const char*, const std::string&>{"version", key.version}, {"cpu", key.cpu},
                                     {"isa", key.isa}, {"gpu", key.gpu}, {"driver", key.driver}})
        if (text_in(head, name) != ours) return other(name, text_in(head, name), ours);
    return same_threads ? "" : concat("measured with other threads than ", key.threads);
}

}  // namespace

std::string rates_file_name(const RatesKey& key) {
    const std::string identity = key.cpu + '\n' + key.gpu;
    char hash[20];
    std::snprintf(hash, sizeof hash, "%016llx", static_cast<unsigned long long>(XXH3_64bits(identity.data(), identity.size())));
    return concat("rates-", hash, ".json");
}

FoundRates read_rates(const std::filesystem::path& file, const RatesKey& key) {
    FoundRates out;
    std::error_code error;
    if (file.empty() || !std::filesystem::exists(file, error)) return out;
    const auto passed_over = [&](const std::string& why) {
        out.problem = concat(file.string(), " is passed over: ", why, "; lapidary tune measures again");
        return out;
    };
    const auto text = read_text_file(file, kMaxFileBytes);
    if (!text) return passed_over(text.error().message);
    const auto head = parse_json_object(*text, file.filename().string());
    if (!head) return passed_over(head.error().message);
    if (const std::string why = stranger(*head, key); !why.empty()) return passed_over(why);
    const auto entries = head->find("power");
    if (entries == head->end() || !entries->is_object()) return passed_over("it has no rates");
    const auto use = [&](const std::string& power, const json& entry) {
        out.rates = entry_in(entry, !key.gpu.empty());
        out.power = power;
        return out.rates.has_value();
    };
    if (const auto own = entries->find(key.power); own != entries->end() && use(key.power, *own)) return out;
    for (const auto& [power, entry] : entries->items()) {
        if (power == key.power || !use(power, entry)) continue;
        out.problem = concat("rates were measured in another state of power (", in_quotes(power), ", now ", in_quotes(key.power), ")");
        return out;
    }
    return passed_over("no entry of it is whole");
}

std::string measured_gpu(const std::filesystem::path& folder, const std::string& cpu) {
    std::string gpu;
    std::filesystem::file_time_type youngest{};
    std::error_code error;
    if (folder.empty()) return gpu;
    for (std::filesystem::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
        const std::string name = entry->path().filename().string();
        if (!name.starts_with("rates-") || !name.ends_with(".json")) continue;
        const auto text = read_text_file(entry->path(), kMaxFileBytes);
        if (!text) continue;
        const auto head = parse_json_object(*text, name);
        if (!head || text_in(*head, "cpu") != cpu || text_in(*head, "gpu").empty()) continue;
        std::error_code unknown;
        const auto time = entry->last_write_time(unknown);
        if (!unknown && (gpu.empty() || time > youngest)) gpu = text_in(*head, "gpu"), youngest = time;
    }
    return gpu;
}

Result<void> write_rates(const std::filesystem::path& file, const RatesKey& key, const MeasuredRates& rates) {
    json entries = json::object();
    if (const auto text = read_text_file(file, kMaxFileBytes)) {
        const auto head = parse_json_object(*text, file.filename().string());
        if (head && stranger(*head, key).empty() && head->contains("power") && (*head)["power"].is_object()) entries = (*head)["power"];
    }
    json entry = {{"time", rates.time}, {"cpu", to_json(rates.cpu)}, {"handover_us", rates.handover_s * 1e6},
                  {"meeting_us", rates.meeting_s * 1e6}};
    if (rates.gpu) entry["gpu"] = to_json(*rates.gpu);
    entries[key.power] = std::move(entry);
    const json head = {{"lapidary_rates", kFormat}, {"version", key.version}, {"cpu", key.cpu}, {"isa", key.isa},
                       {"threads", key.threads}, {"gpu", key.gpu}, {"driver", key.driver}, {"power", std::move(entries)}};
    const std::string text = head.dump(1, ' ', false, json::error_handler_t::replace) + "\n";
    std::error_code error;
    std::filesystem::create_directories(file.parent_path(), error);  // what fails shows in what follows
    LAP_ASSIGN(OutputFile out, OutputFile::create(file));
    LAP_TRY(out.write(text.data(), text.size()));
    return out.commit();
}

}  // namespace lapidary::runtime
