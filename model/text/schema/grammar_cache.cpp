// Grammars are made outside of the lock, so that a large one keeps nobody waiting who has his already.
#include "model/text/schema/grammar_cache.h"

#include <algorithm>
#include <utility>

#include "base/describe.h"
#include "base/try.h"
#include "model/text/schema/grammar_builder.h"

namespace lapidary::model {

Result<SharedGrammar> GrammarCache::of_schema(std::string_view schema) {
    return kept_or_made(concat("schema ", schema), [&] { return grammar_of_schema(schema); });
}

Result<SharedGrammar> GrammarCache::of_calls(const JsonValue& tools, bool held) {
    return kept_or_made(concat(held ? "held " : "readable ", tools.to_json()), [&] { return grammar_of_calls(tools, held); });
}

SharedGrammar GrammarCache::kept(const std::string& key) {
    const auto found = std::find_if(kept_.begin(), kept_.end(), [&](const Kept& one) { return one.key == key; });
    if (found == kept_.end()) return nullptr;
    std::rotate(kept_.begin(), found, found + 1);
    return kept_.front().grammar;
}

Result<SharedGrammar> GrammarCache::kept_or_made(std::string key, const std::function<Result<Grammar>()>& make) {
    {
        const std::lock_guard lock(lock_);
        if (auto known = kept(key)) return known;
    }
    LAP_ASSIGN(Grammar grammar, make());
    auto made = std::make_shared<const Grammar>(std::move(grammar));
    const std::lock_guard lock(lock_);
    if (auto known = kept(key)) return known;  // another thread made it meanwhile
    if (kept_.size() == kMostKept) kept_.pop_back();
    kept_.insert(kept_.begin(), {std::move(key), made});
    return made;
}

}  // namespace lapidary::model
