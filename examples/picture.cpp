// A question about a picture, with progress while the model loads and the prompt is computed.
// Usage: picture MODEL PICTURE [QUESTION]
#include <lapidary/lapidary.h>

#include <iostream>

using namespace lapidary;

int main(int argc, char** argv) {
    if (argc < 3) return std::cerr << "usage: picture MODEL PICTURE [QUESTION]\n", 2;
    const ProgressSink progress = [](std::string_view stage, uint64_t done, uint64_t total) {
        if (done == total && total > 0) std::cerr << stage << " done\n";
        return true;
    };
    auto engine = Engine::open({.model = argv[1], .progress = progress});
    if (!engine) return std::cerr << engine.error().message << "\n", 1;
    if (!engine->info().image) return std::cerr << "this model takes no pictures\n", 1;
    auto prompt = engine->render({{{.parts = {Part::image(std::filesystem::path(argv[2])),
                                              Part::text(argc > 3 ? argv[3] : "What do you see?")}}}});
    if (!prompt) return std::cerr << prompt.error().message << "\n", 1;
    auto session = engine->new_session();
    if (!session) return std::cerr << session.error().message << "\n", 1;
    if (auto queued = session->append(*prompt); !queued) return std::cerr << queued.error().message << "\n", 1;
    auto reply = session->generate({.sampling = {.temperature = 0.0f}, .progress = progress});
    if (!reply) return std::cerr << reply.error().message << "\n", 1;
    std::cout << reply->text << "\n";
}
