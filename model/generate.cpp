// Sampling a reply: logits -> token -> text, until a stop token, a stop text, a limit or the caller ends it.
#include <algorithm>
#include <new>
#include <random>

#include "base/try.h"
#include "model/session_state.h"
#include "model/text/reply_guide.h"
#include "model/text/reply_parser.h"
#include "model/text/sampler.h"
#include "model/text/stop_matcher.h"
#include "model/text/tool_markup.h"

namespace lapidary {
namespace {

// The caller's stop texts, else those that a store keeps with the model. None goes with a schema, whose answers they would cut.
const std::vector<std::string>& stops_of(const model::EngineState& engine, const GenerateOptions& options) {
    const auto& stored = engine.loaded.stored;
    return options.stop.empty() && options.schema.empty() && stored ? stored->defaults.stop : options.stop;
}

// The text side of a reply; does nothing for models without a tokenizer.
class TextStream {
  public:
    static Result<TextStream> create(const model::EngineState& engine, std::span<const int32_t> before,
                                     const GenerateOptions& options) {
        TextStream out;
        LAP_ASSIGN(auto matcher, model::StopMatcher::create(stops_of(engine, options)));
        out.matcher_ = std::move(matcher);
        if (engine.tokenizer) {
            LAP_ASSIGN(auto tools, model::parse_tools(options.tools));
            LAP_ASSIGN(auto parser, model::ReplyParser::create(*engine.tokenizer, before, std::move(tools)));
            out.parser_ = std::move(parser);
            if (options.think_budget) out.budget_ = *options.think_budget;
            out.close_ = engine.tokenizer->special("<channel|>").value_or(-1);
        }
        return out;
    }

    // What became certain; true when a stop text was completed.
    bool feed(int32_t id, Reply& reply) {
        if (!parser_) return false;
        thought_tokens_ += parser_->behind_header();
        return take(parser_->feed(id), reply);
    }
    // The mark that closes a thought when its budget is spent.
    std::optional<int32_t> forced() const {
        const bool spent = budget_ && parser_->behind_header() && thought_tokens_ >= *budget_;
        return spent ? std::optional(close_) : std::nullopt;
    }
    // True when a stop text was completed only now.
    bool finish(Reply& reply) {
        if (!parser_) return false;
        const bool before = matcher_->stopped();
        if (take(parser_->finish(), reply)) return !before;
        const std::string held = matcher_->finish();
        text_ += held;
        reply.text += held;
        return false;
    }
    bool in_thought() const { return parser_ && parser_->in_thought(); }
    std::string_view text() const { return text_; }
    std::string_view thinking() const { return thinking_; }
    const ToolCall* call() const { return call_ ? &*call_ : nullptr; }

  private:
    bool take(model::ReplyDelta delta, Reply& reply) {
        thinking_ = std::move(delta.thinking);
        call_ = std::move(delta.call);
        if (call_) reply.tool_calls.push_back(*call_);
        if (!delta.broken_call.empty()) reply.broken_calls.push_back(std::move(delta.broken_call));
        auto step = matcher_->feed(delta.text);
        text_ = std::move(step.text);
        if (matcher_->completes(parser_->held_spaces())) {  // a stop text may end in white space, or be it
            step = matcher_->feed(parser_->held_spaces());
            text_ += step.text;
        }
        reply.thinking += thinking_;
        reply.text += text_;
        return step.stopped;
    }

    std::optional<model::ReplyParser> parser_;
    std::optional<model::StopMatcher> matcher_;
    std::string text_, thinking_;
    std::optional<ToolCall> call_;
    std::optional<uint32_t> budget_;
    uint32_t thought_tokens_ = 0;
    int32_t close_ = -1;  // <channel|>
};

// Of 53 bits: readers of JSON that keep numbers as doubles give it back as it is.
uint64_t random_seed() {
    std::random_device device;
    return (uint64_t{device()} << 32 | device()) >> 11;
}

Result<model::Sampler> make_sampler(const model::EngineState& engine, const GenerateOptions& options, uint64_t seed) {
    const model::ModelConfig& c = engine.loaded.config;
    const Sampling& s = options.sampling;
    model::SamplerOptions o;
    o.temperature = s.temperature.value_or(c.sampling.temperature);
    o.top_k = s.top_k.value_or(c.sampling.top_k);
    o.top_p = s.top_p.value_or(c.sampling.top_p);
    o.min_p = s.min_p.value_or(c.sampling.min_p);
    o.seed = seed;
    o.suppressed = c.suppress_ids;
    o.want_logprobs = options.logprobs > 0;
    o.top_alternatives = options.logprobs;
    return model::Sampler::create(std::move(o), c.vocab);
}

// What holds the reply to a schema or to tools; null: nothing does.
Result<std::unique_ptr<model::ReplyGuide>> make_guide(const model::EngineState& engine, std::span<const int32_t> before,
                                                      const GenerateOptions& options) {
    if (options.schema.empty() && !options.hold_tools) return std::unique_ptr<model::ReplyGuide>();
    LAP_ASSIGN(const model::Tokenizer* tokenizer, tokenizer_of(engine));
    if (!options.schema.empty() && !options.stop.empty())
        return Error{Errc::invalid_argument, "a stop text would cut the answer that is held to a schema", "leave GenerateOptions::stop out, or GenerateOptions::schema"};
    if (options.ignore_eos)
        return Error{Errc::invalid_argument, "a reply that is held to a schema or to tools ends where these end", "leave ignore_eos out"};
    LAP_ASSIGN(const auto tools, model::parse_tools(options.tools));
    const model::GuideOptions held{.schema = options.schema, .hold_tools = options.hold_tools, .tools = &tools,
                                   .stop_ids = engine.loaded.config.stop_ids, .grammars = &engine.grammars};
    LAP_ASSIGN(auto guide, model::ReplyGuide::create(*tokenizer, engine.token_trie(), held, before));
    return std::make_unique<model::ReplyGuide>(std::move(guide));
}

// Without the tokens that are never said.
std::span<const uint32_t> joined(std::span<const uint32_t> mask, std::span<const uint32_t> allowed, std::vector<uint32_t>& out) {
    if (mask.empty() || allowed.empty()) return mask.empty() ? allowed : mask;
    out.assign(mask.begin(), mask.end());
    for (size_t i = 0; i < out.size(); ++i) out[i] &= allowed[i];
    return out;
}

// How many of the best tokens tell the sampler what it needs; 0: it wants all scores.
int32_t candidates_of(const model::Sampler& sampler, const model::ModelConfig& config) {
    const int32_t wanted = std::min(sampler.best_wanted(), config.vocab);
    return wanted <= model::kMaxCandidates ? wanted : 0;
}

std::vector<model::Ranked> ranked(const model::Scores& scores) {
    std::vector<model::Ranked> out;
    for (const runtime::Candidate& c : scores.best())
        if (c.id >= 0) out.push_back({c.id, c.score});
    return out;
}

// One call of compute that gave a token.
void count(double seconds, const model::Effort& effort, const model::SessionState& session, bool decoding,
           Reply& reply) {
    Timings& t = reply.timings;
    t.wait_s += effort.wait_s;
    t.sampling_s += effort.sink_s;
    (decoding ? t.decode_s : t.prefill_s) += std::max(0.0, seconds - effort.wait_s - effort.sink_s);
    if (decoding) {
        t.decode_steps++;
        t.decode_bytes += session.engine->weight_bytes_per_token + session.read_bytes(session.computed - 1);
    } else {
        reply.usage.cached = reply.usage.prompt - static_cast<uint32_t>(effort.tokens);
    }
}

}  // namespace

const model::TokenTrie& model::EngineState::token_trie() const {
    const std::lock_guard lock(trie_lock);
    if (!trie) trie = std::make_unique<const TokenTrie>(*tokenizer, loaded.config.vocab);
    return *trie;
}

Result<Reply> Session::generate(const GenerateOptions& options, const TokenSink& sink) try {
    const model::Stopwatch total;
    model::SessionState& s = *state_;
    LAP_TRY(s.check_idle("has another one of"));
    const model::Replying replying(s);
    const model::EngineState& engine = *s.engine;
    const std::vector<int32_t>& stop_ids = engine.loaded.config.stop_ids;
    const int32_t start = s.size();
    s.begin_reply();

    Reply reply;
    reply.seed = options.sampling.seed ? *options.sampling.seed : random_seed();
    reply.usage.prompt = static_cast<uint32_t>(start);
    reply.usage.cached = static_cast<uint32_t>(s.computed);  // until it is known what the cache could keep
    LAP_ASSIGN(auto sampler, make_sampler(engine, options, reply.seed));
    LAP_ASSIGN(auto text, TextStream::create(engine, s.ids, options));
    LAP_ASSIGN(const auto guide, make_guide(engine, s.ids, options));
    reply.finish = FinishReason::length;

    Result<void> failure;
    ForwardOptions how{.rows = Rows::last, .cancel = options.cancel, .progress = options.progress};
    model::Sample sample;
    model::Wanted wanted{.candidates = candidates_of(sampler, engine.loaded.config)};
    std::vector<uint32_t> allowed;
    const auto choose = [&](int32_t, const model::Scores& scores) -> Result<bool> {
        if (auto quick = sampler.sample_best(ranked(scores))) {
            sample = std::move(*quick);
            return true;
        }
        LAP_ASSIGN(const auto all, scores.all());
        auto chosen = sampler.sample(all, wanted.mask);
        if (!chosen) {
            failure = chosen.error();
            return false;
        }
        sample = std::move(*chosen);
        return true;
    };
    while (reply.tokens.size() < options.max_tokens) {
        const model::Stopwatch watch;
        const bool decoding = !reply.tokens.empty();
        model::Effort effort;
        wanted.mask = joined(guide ? guide->mask() : std::span<const uint32_t>(), sampler.allowed(), allowed);
        const double masked_s = watch.seconds();
        if (auto done = s.compute(how, wanted, choose, effort); !done) {
            if (done.error().code != Errc::cancelled) return done.error();
            reply.finish = FinishReason::cancelled;
            break;
        }
        if (!failure) return failure.error();
        if (const auto mark = text.forced()) {
            sample.id = *mark;
            sample.logprob = 0;
        }
        effort.sink_s += masked_s;
        count(watch.seconds(), effort, s, decoding, reply);
        if (!decoding) {
            reply.timings.ttft_s = total.seconds();
            how.progress = {};  // of the prompt
        }

        reply.tokens.push_back(sample.id);
        const bool full = s.size() == s.context();  // the token has no position of its own
        if (!full) s.ids.push_back(sample.id);
        const bool ends = !options.ignore_eos && std::count(stop_ids.begin(), stop_ids.end(), sample.id) > 0;
        if (guide) guide->feed(sample.id);
        const bool stop_text = text.feed(sample.id, reply);
        Flow flow = Flow::go;
        if (sink) {
            std::vector<TokenProb> top;
            for (const auto& a : sample.alternatives) top.push_back({a.id, a.logprob});
            flow = sink({sample.id, text.text(), text.thinking(), text.call(), sample.logprob, top});
        }
        if (flow == Flow::discard) {
            LAP_TRY(s.rewind(start));
            reply.finish = FinishReason::cancelled;
            return reply;
        }
        if (ends || stop_text) {
            reply.finish = ends && !reply.tool_calls.empty() ? FinishReason::tool_calls : FinishReason::stop;
            break;
        }
        if (flow == Flow::stop || options.cancel.stop_requested()) {
            reply.finish = FinishReason::cancelled;
            break;
        }
        if (full) {
            reply.context_full = true;
            break;
        }
    }
    reply.in_thought = text.in_thought();
    if (text.finish(reply)) {
        reply.finish = FinishReason::stop;
        reply.context_full = false;
    }
    reply.usage.generated = static_cast<uint32_t>(reply.tokens.size());
    if (!sink || (text.text().empty() && text.thinking().empty())) return reply;
    if (sink({-1, text.text(), text.thinking(), nullptr, 0, {}}) == Flow::discard) {
        LAP_TRY(s.rewind(start));
        reply.finish = FinishReason::cancelled;
    }
    return reply;
} catch (const std::bad_alloc&) {
    return memory_ran_out();
}

}  // namespace lapidary
