// Prints an answer as it comes and ends it after some tokens: from the sink, and from another thread.
// Usage: stream_cancel MODEL
#include <lapidary/lapidary.h>

#include <iostream>
#include <thread>

using namespace lapidary;

namespace {

Result<void> run(const char* model) {
    auto engine = Engine::open({.model = model});
    if (!engine) return engine.error();
    auto prompt = engine->render({{{.parts = {Part::text("Who are you?")}}}});
    auto session = engine->new_session();
    if (!prompt) return prompt.error();
    if (!session) return session.error();
    if (auto queued = session->append(*prompt); !queued) return queued.error();

    // The sink is called for every token; what it answers decides how to go on.
    int tokens = 0;
    auto reply = session->generate({.sampling = {.temperature = 0.0f}}, [&](const Token& token) {
        std::cout << token.text << std::flush;
        return ++tokens < 5 ? Flow::go : Flow::stop;
    });
    if (!reply) return reply.error();
    std::cout << "\nstopped after " << reply->tokens.size() << " tokens\n";

    // A stop token ends a reply from any thread, also while the prompt is computed. What was said stays.
    std::stop_source stop;
    std::jthread impatient([&] { stop.request_stop(); });
    auto rest = session->generate({.max_tokens = 4000, .ignore_eos = true, .cancel = stop.get_token()});
    if (!rest) return rest.error();
    std::cout << (rest->finish == FinishReason::cancelled ? "cancelled" : "not cancelled") << "\n";
    return {};
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 2) return std::cerr << "usage: stream_cancel MODEL\n", 2;
    const auto done = run(argv[1]);
    if (!done) return std::cerr << done.error().message << "\n", 1;
}
