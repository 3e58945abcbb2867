// Two conversations at once on one engine: the weights are shared, the sessions take turns.
// Usage: two_sessions MODEL
#include <lapidary/lapidary.h>

#include <iostream>
#include <string>
#include <thread>

using namespace lapidary;

namespace {

std::string ask(const Engine& engine, const char* question) {
    auto session = engine.new_session();
    auto prompt = engine.render({{{.parts = {Part::text(question)}}}});
    if (!session) return session.error().message;
    if (!prompt) return prompt.error().message;
    if (auto queued = session->append(*prompt); !queued) return queued.error().message;
    auto reply = session->generate({.sampling = {.temperature = 0.0f}});
    return reply ? reply->text : reply.error().message;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 2) return std::cerr << "usage: two_sessions MODEL\n", 2;
    auto engine = Engine::open({.model = argv[1]});
    if (!engine) return std::cerr << engine.error().message << "\n", 1;
    std::string answers[2];
    {
        std::jthread first([&] { answers[0] = ask(*engine, "Who are you?"); });
        std::jthread second([&] { answers[1] = ask(*engine, "Who are you?"); });
    }
    std::cout << answers[0] << "\n" << answers[1] << "\n";
}
