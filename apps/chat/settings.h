// What can be changed while a chat goes on: how replies are sampled, and whether the model thinks.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "apps/common/prompt.h"
#include "lapidary/lapidary.h"

namespace lapidary::cli {

struct ChatSettings {
    GenerateOptions generate;
    bool show_thoughts = true;
};

const std::vector<std::string_view>& setting_names();  // temp top-k top-p min-p seed max-tokens
// "temp 0.5", as the options of the same names; "temp default" takes it back.
Result<void> change_setting(ChatSettings& settings, std::string_view words);
// on, off, a number of tokens, show, hide.
Result<void> change_thinking(ChatSettings& settings, bool& think, const std::string& word);
// Each with its value; null: the model's own.
nlohmann::ordered_json settings_json(const ChatSettings& settings, bool think);

}  // namespace lapidary::cli
