// A conversation with a tool, line by line from standard input. Usage: chat MODEL
#include <lapidary/chat.h>

#include <iostream>
#include <string>

using namespace lapidary;

namespace {

// The arguments are JSON, as declared, and so is what comes back; an Error is told to the model.
Result<std::string> weather(const std::string& arguments) {
    if (arguments.find("Atlantis") != std::string::npos) return Error{Errc::not_found, "there is no such city"};
    return std::string(R"({"weather":"sunny","temperature":21})");
}

Result<void> talk(const char* model) {
    auto engine = Engine::open({.model = model});
    if (!engine) return engine.error();
    auto session = engine->new_session();
    if (!session) return session.error();
    ChatOptions options;
    options.tools.push_back({.name = "get_weather",
                             .description = "Get the current weather for a city.",
                             .parameters = R"({"type":"object","properties":{"city":{"type":"string","description":"City name"}},"required":["city"]})",
                             .call = weather});
    Chat chat(*engine, std::move(*session), options);
    for (std::string line; std::getline(std::cin, line);) {
        auto reply = chat.send(Part::text(line), {.sampling = {.temperature = 0.0f}}, [](const Token& token) {
            if (token.tool_call) std::cout << "(" << token.tool_call->name << " " << token.tool_call->arguments << ")\n";
            std::cout << token.text << std::flush;
            return Flow::go;
        });
        if (!reply) return reply.error();
        std::cout << "\n(" << reply->usage.cached << " of " << reply->usage.prompt << " tokens were known)\n";
    }
    return {};
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 2) return std::cerr << "usage: chat MODEL\n", 2;
    const auto done = talk(argv[1]);
    if (!done) return std::cerr << done.error().message << "\n", 1;
}
