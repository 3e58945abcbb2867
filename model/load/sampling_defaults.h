// How a file wants replies sampled where nobody says otherwise. That is advice: a value that makes no sense gives way to
// the published one and is named in a note, and never keeps a model from being opened.
#pragma once

#include <string>
#include <vector>

#include "lapidary/result.h"
#include "model/config.h"

namespace lapidary::model {

// As a reader found them; errors where a value is of another type.
struct FoundSampling {
    Result<double> temperature, top_p, min_p;
    Result<int32_t> top_k;
};

// `where` names the file in notes.
SamplingDefaults usable_sampling(const FoundSampling& found, const std::string& where, std::vector<std::string>& notes);

}  // namespace lapidary::model
