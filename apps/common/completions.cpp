// One generator per shell; see completions.h.
#include "apps/common/completions.h"

#include <fmt/format.h>

#include <algorithm>

namespace lapidary::cli {
namespace {

// Where a model may stand, `lapidary list --names` tells those that other programs keep.
bool names_a_model(const HelpEntry& entry) { return entry.metavar == "MODEL"; }
bool takes_a_model(const HelpPage& page) { return page.usage.find("MODEL") != std::string::npos; }
bool names_a_file(const HelpEntry& entry) { return entry.metavar.starts_with("FILE") || names_a_model(entry); }

std::string verb_names(const std::vector<VerbSummary>& verbs) {
    std::vector<std::string> names;
    for (const VerbSummary& verb : verbs) names.push_back(verb.name);
    return fmt::format("{}", fmt::join(names, " "));
}

// `text` with a backslash before every one of `marks`; in single quotes afterwards, so that shells take it as it is.
std::string escaped(std::string_view text, std::string_view marks) {
    std::string out;
    for (const char c : text) {
        if (c == '\'') {
            out += "'\\''";
            continue;
        }
        if (marks.find(c) != marks.npos) out += '\\';
        out += c;
    }
    return out;
}

// ---- bash ---------------------------------------------------------------------------------------------------

// "'run --kv') values='f32 f16 q8_0' ;;": what follows an option; nothing for numbers and texts.
std::string bash_values(const HelpPage& page) {
    std::string text;
    for (const HelpEntry& entry : page.entries) {
        if (entry.metavar.empty()) continue;
        std::string cases;
        for (const std::string& name : entry.names)
            cases += fmt::format("{}'{} {}'", cases.empty() ? "" : "|", page.verb, name);
        if (names_a_model(entry)) text += fmt::format("        {}) files=1 models=1 ;;\n", cases);
        else if (names_a_file(entry)) text += fmt::format("        {}) files=1 ;;\n", cases);
        else text += fmt::format("        {}) words='{}' ;;\n", cases, fmt::join(entry.values, " "));
    }
    return text;
}

std::string bash(const std::vector<VerbSummary>& verbs, const std::vector<HelpPage>& pages) {
    std::string values, options, no_files, models, shells_or;  // no_files: verbs that take no arguments; models: that take one
    for (const HelpPage& page : pages) {
        std::vector<std::string> names;
        for (const HelpEntry& entry : page.entries) names.insert(names.end(), entry.names.begin(), entry.names.end());
        values += bash_values(page);
        if (page.verb == "completions") shells_or = fmt::format(" {}", fmt::join(names, " "));
        options += fmt::format("            {}) words='{}' ;;\n", page.verb, fmt::join(names, " "));
        if (takes_a_model(page)) models += fmt::format("{}{}", models.empty() ? "" : "|", page.verb);
        if (!page.takes_arguments) no_files += fmt::format("{}{}", no_files.empty() ? "" : "|", page.verb);
    }
    return fmt::format(R"(# Completion of lapidary for bash; made by `lapidary completions bash`.
# Names of models that other programs keep hold colons, at which bash cuts words: only what is behind the last one is replaced.
_lapidary_models() {{
    local name=$cur i=$COMP_CWORD found
    while [ "$i" -gt 1 ] && {{ [ "${{COMP_WORDS[i]}}" = : ] || [ "${{COMP_WORDS[i-1]}}" = : ]; }}; do
        i=$((i - 1))
        name=${{COMP_WORDS[i]}}$name
    done
    while IFS= read -r found; do
        case "$found" in "$name"*) COMPREPLY+=("${{found#"${{name%"${{name##*:}}"}}"}}") ;; esac
    done < <("${{COMP_WORDS[0]}}" list --names 2> /dev/null)
}}
_lapidary() {{
    local cur=${{COMP_WORDS[COMP_CWORD]}} prev=${{COMP_WORDS[COMP_CWORD-1]}} verb=${{COMP_WORDS[1]}} words='' files='' models=''
    COMPREPLY=()
    # bash takes "--kv=f" as three words
    if [ "$cur" = = ]; then cur=''
    elif [ "$prev" = = ]; then prev=${{COMP_WORDS[COMP_CWORD-2]}}
    fi
    if [ "$COMP_CWORD" -eq 1 ]; then verb='' words='{0} help version'; fi
    case "$verb $prev" in
        ' '*) ;;
        'help help') words='{0}' ;;
        'completions completions') words='bash zsh fish{4}' ;;
{1}        *) case "$cur$verb" in
            -*) ;;
            *) case "$verb" in {3}) ;; *) files=1 ;; esac
               case "$verb" in {5}) models=1 ;; esac ;;
        esac
        [ -n "$files" ] || case "$verb" in
{2}        esac ;;
    esac
    if [ -n "$files" ]; then
        compopt -o filenames 2> /dev/null
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
        [ -z "$models" ] || _lapidary_models
    else
        mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
    fi
}}
complete -F _lapidary lapidary
)",
                       verb_names(verbs), values, options, no_files, shells_or, models);
}

// ---- zsh ----------------------------------------------------------------------------------------------------

std::string zsh_option(const HelpEntry& entry) {
    const std::string description = escaped(entry.description, "[]:\\");
    std::string action;
    if (!entry.values.empty()) action = fmt::format(":value:({})", fmt::join(entry.values, " "));
    else if (names_a_model(entry)) action = ":MODEL:_lapidary_models";
    else if (names_a_file(entry)) action = fmt::format(":{}:_files", entry.metavar);
    else if (!entry.metavar.empty()) action = fmt::format(":{}: ", escaped(entry.metavar, "[]:\\"));
    const std::string others = entry.repeatable || entry.names.size() < 2
                                   ? ""
                                   : fmt::format("({})", fmt::join(entry.names, " "));
    std::string text;
    for (const std::string& name : entry.names)
        text += fmt::format(" \\\n            '{}{}{}[{}]{}'", entry.repeatable ? "*" : others, name,
                            !entry.metavar.empty() && name.starts_with("--") ? "=" : "", description, action);
    return text;
}

std::string zsh(const std::vector<VerbSummary>& verbs, const std::vector<HelpPage>& pages) {
    std::string names, cases;
    for (const VerbSummary& verb : verbs)
        names += fmt::format("        '{}:{}'\n", verb.name, escaped(verb.summary, ":\\"));
    for (const HelpPage& page : pages) {
        cases += fmt::format("        {}) _arguments", page.verb);
        for (const HelpEntry& entry : page.entries)
            if (!entry.names.empty()) cases += zsh_option(entry);
        if (page.takes_arguments && page.verb != "completions")
            cases += fmt::format(" \\\n            '*:file:{}'", takes_a_model(page) ? "_lapidary_models" : "_files");
        if (page.verb == "completions") cases += " \\\n            ':shell:(bash zsh fish)'";
        cases += " ;;\n";
    }
    return fmt::format(R"(#compdef lapidary
# Completion of lapidary for zsh; made by `lapidary completions zsh`.
_lapidary_models() {{
    compadd -- "${{(@f)$($service list --names 2> /dev/null)}}"
    _files
}}
_lapidary() {{
    local -a verbs=(
{}    )
    if (( CURRENT == 2 )); then
        _describe verb verbs
        return
    fi
    local verb=$words[2]
    shift words
    (( CURRENT-- ))
    case $verb in
        help) _describe verb verbs ;;
{}    esac
}}
# Read as a function of $fpath, or by source.
if [[ $funcstack[1] == _lapidary ]]; then _lapidary "$@"; else compdef _lapidary lapidary; fi
)",
                       names, cases);
}

// ---- fish ---------------------------------------------------------------------------------------------------

constexpr const char* kFishModels = "(command -q lapidary; and lapidary list --names 2> /dev/null)";

std::string fish(const std::vector<VerbSummary>& verbs, const std::vector<HelpPage>& pages) {
    std::string text = "# Completion of lapidary for fish; made by `lapidary completions fish`.\n";
    for (const VerbSummary& verb : verbs)
        text += fmt::format("complete -c lapidary -n __fish_use_subcommand -f -a {} -d '{}'\n", verb.name,
                            escaped(verb.summary, "\\"));
    text += fmt::format(
        "complete -c lapidary -n '__fish_seen_subcommand_from help' -f -a '{}'\n"
        "complete -c lapidary -n '__fish_seen_subcommand_from completions' -f -a 'bash zsh fish'\n",
        verb_names(verbs));
    for (const HelpPage& page : pages) {
        if (!page.takes_arguments)
            text += fmt::format("complete -c lapidary -n '__fish_seen_subcommand_from {}' -f\n", page.verb);
        if (takes_a_model(page))
            text += fmt::format("complete -c lapidary -n '__fish_seen_subcommand_from {}' -a '{}'\n", page.verb, kFishModels);
        for (const HelpEntry& entry : page.entries) {
            if (entry.names.empty()) continue;
            std::string names;
            for (const std::string& name : entry.names)
                names += name.starts_with("--") ? fmt::format(" -l {}", name.substr(2))
                                                : fmt::format(" -s {}", name.substr(1));
            const std::string value = entry.metavar.empty()  ? ""
                                      : names_a_model(entry) ? fmt::format(" -r -a '{}'", kFishModels)
                                      : names_a_file(entry)  ? " -r"
                                      : entry.values.empty() ? " -x"
                                                             : fmt::format(" -x -a '{}'", fmt::join(entry.values, " "));
            text += fmt::format("complete -c lapidary -n '__fish_seen_subcommand_from {}'{}{} -d '{}'\n", page.verb,
                                names, value, escaped(entry.description, "\\"));
        }
    }
    return text;
}

}  // namespace

CompletionScript completions_of(std::string_view shell) {
    if (shell == "bash") return bash;
    if (shell == "zsh") return zsh;
    if (shell == "fish") return fish;
    return nullptr;
}

}  // namespace lapidary::cli
