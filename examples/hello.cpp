// One question, one answer. Usage: hello MODEL [QUESTION]
#include <lapidary/lapidary.h>

#include <iostream>

int main(int argc, char** argv) {
    if (argc < 2) return std::cerr << "usage: hello MODEL [QUESTION]\n", 2;
    auto engine = lapidary::Engine::open({.model = argv[1]});
    if (!engine) return std::cerr << engine.error().message << "\n", 1;
    auto session = engine->new_session();
    auto prompt = engine->render({{{.parts = {lapidary::Part::text(argc > 2 ? argv[2] : "Who are you?")}}}});
    if (!session) return std::cerr << session.error().message << "\n", 1;
    if (!prompt) return std::cerr << prompt.error().message << "\n", 1;
    if (auto queued = session->append(*prompt); !queued) return std::cerr << queued.error().message << "\n", 1;
    auto reply = session->generate({.sampling = {.temperature = 0.0f}});
    if (!reply) return std::cerr << reply.error().message << "\n", 1;
    std::cout << reply->text << "\n";
}
