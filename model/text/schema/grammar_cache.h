// The grammars of the last few schemas and lists of tools: replies that ask for the same share one. Any thread may ask.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "lapidary/result.h"
#include "model/text/json_value.h"
#include "model/text/schema/grammar.h"

namespace lapidary::model {

using SharedGrammar = std::shared_ptr<const Grammar>;

class GrammarCache {
  public:
    static constexpr size_t kMostKept = 4;

    // As in grammar_builder.h. Errors are not kept.
    Result<SharedGrammar> of_schema(std::string_view schema);
    Result<SharedGrammar> of_calls(const JsonValue& tools, bool held);

  private:
    struct Kept {
        std::string key;
        SharedGrammar grammar;
    };

    Result<SharedGrammar> kept_or_made(std::string key, const std::function<Result<Grammar>()>& make);
    SharedGrammar kept(const std::string& key);  // under the lock

    std::mutex lock_;
    std::vector<Kept> kept_;  // the one that was asked for last in front
};

}  // namespace lapidary::model
