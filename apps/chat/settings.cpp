// See settings.h. Values are read by the verb's own option table, so that both take and refuse the same.
#include "apps/chat/settings.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "apps/common/arguments.h"
#include "apps/common/options.h"
#include "base/try.h"

namespace lapidary::cli {
namespace {

using Json = nlohmann::ordered_json;

// Errors speak of options; here they are named without dashes.
Error as_setting(Error error, const std::string& name) {
    const std::string option = "--" + name;
    if (error.message.starts_with(option)) error.message.erase(0, 2);
    if (error.hint.empty()) error.hint = fmt::format("/set {} default takes it back", name);
    return error;
}

void reset_setting(GenerateOptions& generate, std::string_view name) {
    Sampling& sampling = generate.sampling;
    if (name == "temp") sampling.temperature.reset();
    if (name == "top-k") sampling.top_k.reset();
    if (name == "top-p") sampling.top_p.reset();
    if (name == "min-p") sampling.min_p.reset();
    if (name == "seed") sampling.seed.reset();
    if (name == "max-tokens") generate.max_tokens = GenerateOptions().max_tokens;
}

template <class T>
Json value_or_null(const std::optional<T>& value) {
    return value ? Json(*value) : Json();
}
Json value_or_null(const std::optional<float>& value) {  // 0.7, not 0.699999988
    return value ? Json::parse(fmt::format("{}", *value)) : Json();
}

}  // namespace

const std::vector<std::string_view>& setting_names() {
    static const std::vector<std::string_view> kNames = {"temp", "top-k", "top-p", "min-p", "seed", "max-tokens"};
    return kNames;
}

Result<void> change_setting(ChatSettings& settings, std::string_view words) {
    const std::string name(words.substr(0, words.find_first_of(" \t")));
    const std::string_view rest = words.substr(name.size());
    const std::string value(rest.substr(std::min(rest.find_first_not_of(" \t"), rest.size())));
    const auto& names = setting_names();
    if (std::find(names.begin(), names.end(), name) == names.end()) {
        const std::string guess = nearest(name, {names.begin(), names.end()});
        return usage(fmt::format("there is no setting {}", name),
                     guess.empty() ? fmt::format("the settings are {}", fmt::join(names, ", ")) : fmt::format("did you mean {}?", guess));
    }
    if (value.empty()) return usage(fmt::format("{} needs a value", name), fmt::format("/set {} default takes it back", name));
    GenerateOptions changed = settings.generate;
    if (value == "default" || (name == "seed" && value == "-1")) {
        reset_setting(changed, name);
    } else {
        Command command("chat", "", "");
        add_sampling_options(command, changed);
        if (const Result<bool> read = command.parse({"--" + name + "=" + value}); !read) return as_setting(read.error(), name);
    }
    settings.generate = std::move(changed);
    return {};
}

Result<void> change_thinking(ChatSettings& settings, bool& think, const std::string& word) {
    if (word == "show" || word == "hide") {
        settings.show_thoughts = word == "show";
        return {};
    }
    PromptOptions read;
    Command command("chat", "", "");
    add_think_option(command, read);
    if (!command.parse({"--think=" + word}))
        return usage(word.empty() ? "/think needs a word" : fmt::format("/think is '{}', which is none of its words", word),
                     "on, off, a number of tokens, show or hide");
    think = read.think == "on";
    settings.generate.think_budget = read.think_budget;
    return {};
}

Json settings_json(const ChatSettings& settings, bool think) {
    const Sampling& s = settings.generate.sampling;
    return {{"temp", value_or_null(s.temperature)},
            {"top-k", value_or_null(s.top_k)},
            {"top-p", value_or_null(s.top_p)},
            {"min-p", value_or_null(s.min_p)},
            {"seed", value_or_null(s.seed)},
            {"max-tokens", settings.generate.max_tokens},
            {"think", think && settings.generate.think_budget ? Json(*settings.generate.think_budget) : Json(think ? "on" : "off")},
            {"thoughts", settings.show_thoughts ? "shown" : "hidden"}};
}

}  // namespace lapidary::cli
