// The regular expressions of JSON Schema's `pattern` (ECMA-262, as far as sets of strings can say them) to automata. Where ECMA-262
// and Python differ, in characters outside ASCII of \w, \d and their opposites, the narrower reading counts: what is
// generated matches for both.
#pragma once

#include <string_view>

#include "lapidary/result.h"
#include "model/text/schema/nfa.h"

namespace lapidary::model {

// Of the texts that hold a match, between marks. An error is bad_grammar and names what is not served.
Result<Nfa> nfa_of_pattern(std::string_view pattern);

}  // namespace lapidary::model
