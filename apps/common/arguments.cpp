// Splitting and suggestions; see arguments.h.
#include "apps/common/arguments.h"

#include <algorithm>
#include <cctype>
#include <utility>

#include "base/edits.h"

namespace lapidary::cli {
namespace {

using TakesValue = std::function<std::optional<bool>(const std::string& name)>;

std::string lower(std::string_view word) {
    std::string text(word);
    for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    return text;
}

// "-n5" as {"-n", "5"}, "-qh" as {"-q", ""}, {"-h", ""}; empty when it is neither. Text may not follow a name
// without a blank: "-prio" is somebody's option, not the prompt "rio". The value of a last one, as in "-qn", is `next`.
std::vector<std::pair<std::string, std::string>> short_names(const std::string& word, const std::string* next,
                                                             const TakesValue& takes_value, bool& took_next) {
    std::vector<std::pair<std::string, std::string>> found;
    for (size_t i = 1; i < word.size(); ++i) {
        const std::string name{'-', word[i]};
        const std::optional<bool> valued = takes_value(name);
        if (!valued) return {};
        if (!*valued) {
            found.emplace_back(name, "");
            continue;
        }
        const std::string value = word.substr(i + 1);
        const bool help = word[1] == 'h';  // then a value means nothing, and -hf is somebody's option
        if (value.empty() && i > 1 && next != nullptr && !help) {
            took_next = true;
            found.emplace_back(name, *next);
            return found;
        }
        if (value.empty() || std::isdigit(static_cast<unsigned char>(value[0])) == 0) return {};
        found.emplace_back(name, value);
        return found;
    }
    return found;
}

}  // namespace

std::vector<std::string_view> split(std::string_view text, char mark) {
    std::vector<std::string_view> parts;
    for (size_t begin = 0; begin <= text.size();) {
        const size_t end = std::min(text.find(mark, begin), text.size());
        parts.push_back(text.substr(begin, end - begin));
        begin = end + 1;
    }
    return parts;
}

SplitLine split_line(const std::vector<std::string>& args, const TakesValue& takes_value) {
    SplitLine line;
    for (size_t i = 0; i < args.size(); ++i) {
        const std::string& word = args[i];
        if (word == "--") {
            line.positionals.insert(line.positionals.end(), args.begin() + static_cast<long>(i) + 1, args.end());
            break;
        }
        if (word.size() < 2 || word[0] != '-') {
            line.positionals.push_back(word);
            continue;
        }
        const size_t equals = word.find('=');
        std::string name = word.substr(0, equals);
        if (name.size() > 2 && name[1] != '-' && !takes_value(name) && takes_value('-' + name)) name = '-' + name;
        const std::optional<bool> valued = takes_value(name);
        if (!valued) {
            bool took_next = false;
            const std::string* next = i + 1 < args.size() ? &args[i + 1] : nullptr;
            const auto letters =
                word[1] == '-' ? decltype(line.options){} : short_names(word, next, takes_value, took_next);
            if (took_next) ++i;
            if (letters.empty() && line.unknown.empty()) line.unknown = name;
            line.options.insert(line.options.end(), letters.begin(), letters.end());
        } else if (!*valued) {
            if (equals != word.npos) line.overvalued = name;
            line.options.emplace_back(name, "");
        } else if (equals != word.npos) {
            line.options.emplace_back(name, word.substr(equals + 1));
        } else if (i + 1 < args.size()) {
            line.options.emplace_back(name, args[++i]);
        } else {
            line.unvalued = name;
        }
    }
    return line;
}

std::string nearest(std::string_view given, const std::vector<std::string>& candidates) {
    constexpr size_t kEnoughToBegin = 3;  // letters that name what they begin
    const std::string word = lower(given);
    const size_t letters = word.size() - std::min(word.find_first_not_of('-'), word.size());
    for (const std::string& candidate : candidates)
        if (letters >= kEnoughToBegin && candidate.starts_with(word)) return candidate;
    const auto best =
        std::min_element(candidates.begin(), candidates.end(),
                         [&](const auto& a, const auto& b) { return edits(word, a) < edits(word, b); });
    constexpr size_t kMost = 3;
    const size_t limit = std::min(kMost, letters / 3);
    return best != candidates.end() && edits(word, *best) <= limit ? *best : std::string();
}

}  // namespace lapidary::cli
