// A program with a libpng of its own beside the library's: draws a picture, and shows it to the model.
// Usage: embedder MODEL PICTURE.png
#include <lapidary/lapidary.h>
#include <png.h>

#include <iostream>
#include <vector>

int main(int argc, char** argv) {
    if (argc < 3) return 2;
    png_image picture{};
    picture.version = PNG_IMAGE_VERSION;
    picture.width = picture.height = 64;
    picture.format = PNG_FORMAT_RGB;
    const std::vector<png_byte> grey(64 * 64 * 3, 128);
    if (png_image_write_to_file(&picture, argv[2], 0, grey.data(), 0, nullptr) == 0) return 3;

    auto engine = lapidary::Engine::open({.model = argv[1]});
    if (!engine) return std::cerr << engine.error().message << "\n", 1;
    const std::vector<lapidary::Part> parts{lapidary::Part::image(std::filesystem::path(argv[2]))};
    auto picture_prompt = engine->render({{{.parts = parts}}});
    if (!picture_prompt) return std::cerr << picture_prompt.error().message << "\n", 1;
    auto prompt = engine->render({{{.parts = {lapidary::Part::text("Who are you?")}}}});
    auto session = engine->new_session();
    if (!prompt || !session || !session->append(*prompt)) return 1;
    auto reply = session->generate({.sampling = {.temperature = 0.0f}});
    if (!reply) return std::cerr << reply.error().message << "\n", 1;
    std::cout << reply->text << "\n";
}
