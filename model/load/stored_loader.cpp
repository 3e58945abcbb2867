// Advice of a store stands above what the file says and below what the user does; see stored_loader.h.
#include "model/load/stored_loader.h"

#include <cstdio>

#include "base/describe.h"

namespace lapidary::model {
namespace {

using stores::StoredDefaults;
using stores::StoredModel;

std::string number_text(double value) {
    char text[32];
    std::snprintf(text, sizeof text, "%g", value);
    return text;
}

// The parameters that count from here on, in words.
std::string taken_in_words(const StoredDefaults& defaults) {
    std::vector<std::string> taken;
    if (defaults.temperature) taken.push_back(concat("temperature ", number_text(*defaults.temperature)));
    if (defaults.top_k) taken.push_back(concat("top_k ", *defaults.top_k));
    if (defaults.top_p) taken.push_back(concat("top_p ", number_text(*defaults.top_p)));
    if (defaults.min_p) taken.push_back(concat("min_p ", number_text(*defaults.min_p)));
    for (const std::string& stop : defaults.stop) taken.push_back(concat("stop ", in_quotes(stop)));
    return short_list(taken, taken.size());
}

void add_defaults(const StoredModel& stored, LoadedModel& model) {
    const StoredDefaults& defaults = stored.defaults;
    SamplingDefaults& sampling = model.config.sampling;
    if (defaults.temperature) sampling.temperature = static_cast<float>(*defaults.temperature);
    if (defaults.top_k) sampling.top_k = *defaults.top_k;
    if (defaults.top_p) sampling.top_p = static_cast<float>(*defaults.top_p);
    if (defaults.min_p) sampling.min_p = static_cast<float>(*defaults.min_p);
    const std::string taken = taken_in_words(defaults), unused = short_list(defaults.unused, defaults.unused.size());
    if (taken.empty() && unused.empty()) return;
    model.notes.push_back(concat("parameters that ", title_of(stored.program), " keeps with the model: ",
                                 taken.empty() ? "" : concat(taken, " are the defaults here"), taken.empty() || unused.empty() ? "" : "; ",
                                 unused.empty() ? "" : concat(unused, " not taken")));
}

}  // namespace

void add_stored(bool bare, LoadedModel& model) {
    const StoredModel& stored = *model.stored;
    if (bare) model.notes.push_back(concat("the model is ", in_quotes(stored.name), ", in ", in_quotes(stored.model.string())));
    if (!stored.title.empty()) model.config.name = stored.title;
    add_defaults(stored, model);
    model.system = stored.system;
    for (const std::string& note : stored.notes) model.notes.push_back(note);
    if (!stored.drafter.empty())
        model.notes.push_back(concat("the drafter ", in_quotes(stored.drafter.string()), " is not used: drafting is not available in this version"));
    model.metadata.emplace_back("kept by", title_of(stored.program));
    model.metadata.emplace_back("name there", stored.name);
    for (const auto& fact : stored.facts) model.metadata.push_back(fact);
}

}  // namespace lapidary::model
