// Sampling a reply: logits -> token -> text, until a stop token, a stop text, a limit or the caller ends it.
#include <algorithm>
#include <new>
#include <random>

#include "model/session_state.h"
#include "model/text/reply_parser.h"
#include "model/text/sampler.h"
#include "model/text/stop_matcher.h"

namespace lapidary {
namespace {

// The text side of a reply; does nothing for models without a tokenizer.
class TextStream {
  public:
    static Result<TextStream> create(const Engine::State& engine, bool in_thought, std::vector<std::string> stops) {
        TextStream out;
        LAP_ASSIGN(auto matcher, model::StopMatcher::create(std::move(stops)));
        out.matcher_ = std::move(matcher);
        if (engine.tokenizer) {
            LAP_ASSIGN(auto parser, model::ReplyParser::create(*engine.tokenizer, in_thought));
            out.parser_ = std::move(parser);
        }
        return out;
    }

    // What became certain; true when a stop text was completed.
    bool feed(int32_t id, Reply& reply) {
        if (!parser_) return false;
        return take(parser_->feed(id), reply);
    }
    void finish(Reply& reply) {
        if (!parser_) return;
        if (take(parser_->finish(), reply)) return;
        const std::string held = matcher_->finish();
        text_ += held;
        reply.text += held;
    }
    std::string_view text() const { return text_; }
    std::string_view thinking() const { return thinking_; }

  private:
    bool take(model::ReplyDelta delta, Reply& reply) {
        thinking_ = std::move(delta.thinking);
        auto step = matcher_->feed(delta.text);
        text_ = std::move(step.text);
        reply.thinking += thinking_;
        reply.text += text_;
        return step.stopped;
    }

    std::optional<model::ReplyParser> parser_;
    std::optional<model::StopMatcher> matcher_;
    std::string text_, thinking_;
};

uint64_t random_seed() {
    std::random_device device;
    return uint64_t{device()} << 32 | device();
}

Result<model::Sampler> make_sampler(const Engine::State& engine, const GenerateOptions& options, uint64_t seed) {
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

}  // namespace

Result<Reply> Session::generate(const GenerateOptions& options, const TokenSink& sink) try {
    State& s = *state_;
    const Engine::State& engine = *s.engine;
    const std::vector<int32_t>& stop_ids = engine.loaded.config.stop_ids;
    const int32_t start = s.size();

    Reply reply;
    reply.seed = options.sampling.seed ? *options.sampling.seed : random_seed();
    reply.usage.prompt = static_cast<uint32_t>(start);
    reply.usage.cached = static_cast<uint32_t>(s.computed);
    LAP_ASSIGN(auto sampler, make_sampler(engine, options, reply.seed));
    const bool in_thought = s.starts_in_thought;
    LAP_ASSIGN(auto text, TextStream::create(engine, in_thought, options.stop));
    reply.finish = FinishReason::length;

    Result<void> failure;
    Stopwatch total;
    model::Sample sample;
    const auto choose = [&](int32_t, std::span<const float> logits) {
        auto chosen = sampler.sample(logits);
        if (!chosen) {
            failure = chosen.error();
            return false;
        }
        sample = std::move(*chosen);
        return true;
    };
    while (reply.tokens.size() < options.max_tokens) {
        const Stopwatch watch;
        const bool decoding = !reply.tokens.empty();
        if (auto done = s.compute(false, choose, options.cancel); !done) {
            if (done.error().code != Errc::cancelled) return done.error();
            reply.finish = FinishReason::cancelled;
            break;
        }
        if (!failure) return failure.error();
        (decoding ? reply.timings.decode_s : reply.timings.prefill_s) += watch.seconds();
        if (decoding)
            reply.timings.decode_bytes += engine.weight_bytes_per_token + s.kv.read_bytes(s.computed - 1);
        else
            reply.timings.ttft_s = total.seconds();

        s.starts_in_thought = false;
        reply.tokens.push_back(sample.id);
        const bool full = s.size() == s.context();  // the token has no position of its own
        if (!full) s.ids.push_back(sample.id);
        const bool ends = !options.ignore_eos && std::count(stop_ids.begin(), stop_ids.end(), sample.id) > 0;
        const bool stop_text = text.feed(sample.id, reply);
        Flow flow = Flow::go;
        if (sink) {
            std::vector<TokenProb> top;
            for (const auto& a : sample.alternatives) top.push_back({a.id, a.logprob});
            flow = sink({sample.id, text.text(), text.thinking(), sample.logprob, top});
        }
        if (flow == Flow::discard) {
            LAP_TRY(s.rewind(start));
            s.starts_in_thought = in_thought;
            reply.finish = FinishReason::cancelled;
            return reply;
        }
        if (ends || stop_text) {
            reply.finish = FinishReason::stop;
            break;
        }
        if (flow == Flow::stop || options.cancel.stop_requested()) {
            reply.finish = FinishReason::cancelled;
            break;
        }
        if (full) break;
    }
    text.finish(reply);
    if (sink && !(text.text().empty() && text.thinking().empty())) sink({-1, text.text(), text.thinking(), 0, {}});
    reply.usage.generated = static_cast<uint32_t>(reply.tokens.size());
    return reply;
} catch (const std::bad_alloc&) {
    return memory_ran_out();
}

}  // namespace lapidary
