// Whole names first, then names without their capitals, then parts of a file's name; see find.h.
#include "model/stores/find.h"

#include <algorithm>
#include <cctype>
#include <optional>
#include <set>

#include "base/describe.h"
#include "base/edits.h"
#include "base/try.h"
#include "model/stores/hugging_face.h"
#include "model/stores/llama_cpp.h"
#include "model/stores/lm_studio.h"
#include "model/stores/ollama.h"
#include "model/stores/store_files.h"

namespace lapidary::stores {
namespace {

namespace fs = std::filesystem;
using Candidates = std::vector<const StoredModel*>;

constexpr Program kPrograms[] = {Program::ollama, Program::hugging_face, Program::lm_studio, Program::llama_cpp};
constexpr size_t kMostNames = 8;  // names that one message lists

const std::vector<fs::path>& roots_of(Program program, const Places& places) {
    switch (program) {
        case Program::ollama: return places.ollama;
        case Program::hugging_face: return places.hugging_face;
        case Program::lm_studio: return places.lm_studio;
        case Program::llama_cpp: break;
    }
    return places.llama_cpp;
}

void list_program(Program program, const Places& places, const std::string& revision, Listing& listing) {
    for (const fs::path& root : roots_of(program, places)) {
        switch (program) {
            case Program::ollama: list_ollama(root, listing); break;
            case Program::hugging_face: list_hugging_face(root, revision, listing); break;
            case Program::lm_studio: list_lm_studio(root, listing); break;
            case Program::llama_cpp: list_llama_cpp(root, listing); break;
        }
    }
}

// A name in its parts: which program's, the name itself without an @REVISION that stood in it, and that.
struct Asked {
    std::optional<Program> program = {};
    std::string word = {}, revision = {};
};

std::optional<std::pair<Program, size_t>> prefix_in(const std::string& name) {
    for (const Program program : kPrograms)
        if (const std::string prefix = prefix_of(program); name.starts_with(prefix)) return std::pair(program, prefix.size());
    constexpr std::string_view kOther = "llamacpp:";
    if (name.starts_with(kOther)) return std::pair(Program::llama_cpp, kOther.size());
    return std::nullopt;
}

Asked asked_of(const std::string& name) {
    Asked out;
    const auto prefix = prefix_in(name);
    if (prefix) out.program = prefix->first;
    out.word = name.substr(prefix ? prefix->second : 0);
    const size_t at = out.word.find('@');
    if (out.program == Program::hugging_face && at != out.word.npos) {  // org/name@revision:Q4_0 keeps its mark in the words
        const size_t end = std::min(out.word.find(':', at), out.word.size());
        out.revision = out.word.substr(at + 1, end - at - 1);
    }
    return out;
}

// Whether one of the words of a file's name is this: between marks that are no letters, digits or underscores.
bool has_word(const std::string& text, const std::string& word) {
    const auto inside = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; };
    for (size_t at = text.find(word); at != text.npos; at = text.find(word, at + 1)) {
        const size_t end = at + word.size();
        if ((at == 0 || !inside(text[at - 1])) && (end == text.size() || !inside(text[end]))) return true;
    }
    return false;
}

// With and without the publisher; `asked` without capitals.
bool is_repo(const StoredModel& model, const std::string& asked) {
    const std::string own = lower(model.repo);
    return !model.file.empty() && (own == asked || own.substr(own.rfind('/') + 1) == asked);
}

// repo:PART, by any part of a file's name. Where PART is a whole word of some, these are meant: F16, not BF16.
Candidates by_part(const std::vector<StoredModel>& models, const std::string& asked) {
    Candidates some, whole;
    const size_t mark = asked.rfind(':');
    if (mark == asked.npos || mark + 1 == asked.size()) return {};
    const std::string repo = asked.substr(0, mark), part = asked.substr(mark + 1);
    for (const StoredModel& model : models) {
        const std::string file = lower(model.file);
        if (!is_repo(model, repo) || file.find(part) == file.npos) continue;
        some.push_back(&model);
        if (has_word(file, part)) whole.push_back(&model);
    }
    return whole.empty() ? some : whole;
}

Candidates matching(const std::vector<StoredModel>& models, const std::string& word) {
    Candidates same, alike, gguf;
    const std::string asked = lower(word);
    for (const StoredModel& model : models) {
        const auto& words = model.words;
        if (std::find(words.begin(), words.end(), word) != words.end()) same.push_back(&model);
        if (std::any_of(words.begin(), words.end(), [&](const auto& own) { return lower(own) == asked; })) alike.push_back(&model);
    }
    if (!same.empty()) return same;
    if (!alike.empty()) return alike;
    if (Candidates some = by_part(models, asked); !some.empty()) return some;
    for (const StoredModel& model : models)  // a repository of several files, without saying which
        if (is_repo(model, asked)) gguf.push_back(&model);
    return gguf;
}

std::string names_of(const Candidates& models) {
    std::vector<std::string> names;
    for (const StoredModel* model : models) names.push_back(in_quotes(model->name));
    return short_list(names, kMostNames);
}

// Those that the word is a part of, or a few edits away from.
Candidates nearest_to(const std::string& word, const std::vector<StoredModel>& models) {
    constexpr size_t kNearest = 3;
    const std::string asked = lower(word);
    std::vector<std::pair<size_t, const StoredModel*>> near;
    for (const StoredModel& model : models) {
        size_t distance = SIZE_MAX;
        for (const std::string& own : model.words) {
            const std::string text = lower(own);
            const bool part = asked.size() >= 3 && text.find(asked) != text.npos;
            distance = std::min(distance, part ? 1 : edits(asked, text));
        }
        if (distance <= std::max<size_t>(2, asked.size() / 3)) near.emplace_back(distance, &model);
    }
    std::stable_sort(near.begin(), near.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
    Candidates out;
    for (const auto& entry : near)
        if (out.size() < kNearest) out.push_back(entry.second);
    return out;
}

std::string folders_of(Program program, const Places& places) {
    std::vector<std::string> folders;
    for (const fs::path& root : roots_of(program, places)) folders.push_back(in_quotes(root.string()));
    return folders.empty() ? "any folder, for HOME is not set" : short_list(folders);
}

Error not_found(const std::string& name, const Asked& asked, const Places& places, const Listing& listing) {
    Candidates near = nearest_to(asked.word, listing.models);
    std::string known;
    if (!near.empty()) {
        known = concat(near.size() > 1 ? ": the nearest names are " : ": the nearest name is ", names_of(near));
    } else if (asked.program && !listing.models.empty()) {
        for (const StoredModel& model : listing.models) near.push_back(&model);
        known = concat(": these are there: ", names_of(near));
    } else if (asked.program) {
        known = concat(": no models were found in ", folders_of(*asked.program, places));
    }
    // A file's name that was mistyped has nothing to do with folders that cannot be read.
    if (asked.program || fs::path(name).extension().empty())
        for (const StoreProblem& problem : listing.problems) known += concat("; ", in_quotes(problem.folder.string()), ": ", problem.message);
    if (asked.program)
        return {Errc::model_not_found, concat(title_of(*asked.program), " keeps no model ", in_quotes(name), known),
                "`lapidary list` shows all names"};
    return {Errc::model_not_found, concat("there is no model at ", in_quotes(name), ", and no other program keeps one of that name", known),
            "check the path; `lapidary list` shows the names"};
}

// Only where a name could not be that of a store: absolute, or with dots or a tilde in front.
bool is_path_alone(const std::string& name) {
    return name.starts_with('/') || name.starts_with("./") || name.starts_with("../") || name.starts_with('~') || name == "." || name == "..";
}

void mark_hidden(std::vector<StoredModel>& models) {
    std::set<std::string> names;
    for (StoredModel& model : models)
        if (!names.insert(model.name).second)
            model.problem = {Errc::unsupported_model, concat(in_quotes(model.name), " is there twice, and the name opens the other one"),
                             "name this one by its path"};
}

}  // namespace

bool is_store_name(const std::string& name) { return prefix_in(name).has_value(); }

Listing list_stores(const Places& places) {
    Listing listing;
    for (const Program program : kPrograms) list_program(program, places, "", listing);
    listing.problems.insert(listing.problems.end(), places.problems.begin(), places.problems.end());
    mark_hidden(listing.models);
    return listing;
}

Result<Found> find_model(const fs::path& model, const Places& places) {
    std::error_code ignored;
    const std::string name = model.string();
    if (name.empty() || fs::symlink_status(model, ignored).type() != fs::file_type::not_found) return Found{};
    const Asked asked = asked_of(name);
    if (!asked.program && is_path_alone(name)) return Found{};
    Listing listing;
    for (const Program program : kPrograms)
        if (!asked.program || asked.program == program) list_program(program, places, asked.revision, listing);
    Candidates found = matching(listing.models, asked.word);
    // The same name in another folder of the same program: the first counts.
    std::set<std::string> names;
    std::erase_if(found, [&names](const StoredModel* other) { return !names.insert(other->name).second; });
    if (found.empty()) return not_found(name, asked, places, listing);
    if (found.size() > 1)
        return Error{Errc::model_not_found, concat(in_quotes(name), " may be any of ", found.size(), " models: ", names_of(found)),
                     "give one of these names"};
    if (!found.front()->usable()) {
        Error problem = found.front()->problem;
        if (!found.front()->download.empty()) problem.hint = found.front()->download;
        return problem;
    }
    return Found{std::make_shared<const StoredModel>(*found.front()), !asked.program};
}

}  // namespace lapidary::stores
