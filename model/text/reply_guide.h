// Which tokens may come next in a reply whose answer is held to a JSON Schema, or whose calls are held to their tools: by the
// place in the reply (thought, answer, call), and there by a grammar. It reads the same ids as the reply parser.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "lapidary/result.h"
#include "model/text/json_value.h"
#include "model/text/schema/grammar_cache.h"
#include "model/text/schema/token_mask.h"

namespace lapidary::model {

struct GuideOptions {
    std::string_view schema = {};            // empty: the answer is free
    bool hold_tools = false;            // arguments as the tools' schemas say; beside a schema calls can at least be read
    const JsonValue* tools = nullptr;   // tool_markup.h
    std::span<const int32_t> stop_ids = {};  // that end a reply
    GrammarCache* grammars = nullptr;        // where grammars are kept for other replies; null: nowhere
};

// With a schema: [thought] and then one JSON text, or calls. A reply that stops is one of both. A thought may be opened where the
// prompt asks for thinking (`<|think|>`) and has none that is closed already.
class ReplyGuide {
  public:
    // Tokenizer and tokens must outlive it. `before`: the sequence that the reply goes on. A thought or call that it left open goes on.
    static Result<ReplyGuide> create(const Tokenizer& tokenizer, const TokenTrie& tokens, const GuideOptions& options,
                                     std::span<const int32_t> before);

    // Of the ids that may come now, as TokenTrie::vocab() has rows; empty: all. Valid until the next call.
    std::span<const uint32_t> mask();
    void feed(int32_t id);

  private:
    enum class Where { answer, thought, call };
    struct Held {  // a grammar that is being followed
        SharedGrammar grammar;
        Matcher matcher;
        TokenMask mask;
        Held(SharedGrammar of, const TokenTrie& tokens, int32_t quote)
            : grammar(std::move(of)), matcher(*grammar), mask(*grammar, tokens, quote) {}
    };

    ReplyGuide(const Tokenizer& tokenizer, const TokenTrie& tokens) : tokenizer_(&tokenizer), tokens_(&tokens), bits_(tokens.words()) {}
    void all_but(std::initializer_list<int32_t> ids);
    void allow(int32_t id);
    void allow_stops();
    void call_begins();

    const Tokenizer* tokenizer_;
    const TokenTrie* tokens_;
    TokenBits bits_;
    std::vector<int32_t> stops_;
    int32_t channel_open_ = -1, channel_close_ = -1, call_open_ = -1, call_close_ = -1, response_ = -1, quote_ = -1;
    std::unique_ptr<Held> answer_, call_;  // none: free; none: no tools
    Where where_ = Where::answer;
    bool answered_ = false, called_ = false;
    bool thought_ = false;  // there was one, or none may come
    bool lost_ = false;  // a call began unheld, and is nothing that the grammar knows
};

}  // namespace lapidary::model
