// What a packed file may hold beyond what pack writes: panels and texts in places where they do not belong.
#include "model/load/lapidary_loader.h"

#include <doctest/doctest.h>

#include "model/load/text_files.h"
#include "runtime/file/lapidary_writer.h"
#include "tests/support/goldens.h"
#include "tests/support/scratch_folder.h"
#include "tests/support/small_model.h"

using namespace lapidary;
using namespace lapidary::model;
using namespace lapidary::test;
using runtime::Format;
using runtime::Layout;
namespace fs = std::filesystem;

namespace {

// The bundled model packed by hand; `layout_of` says how tensors claim to lie.
template <class LayoutOf>
fs::path write_tiny(const ScratchFolder& folder, const std::string& kind, bool with_config,
                    LayoutOf layout_of) {
    const auto source = unwrap(load_model({.model = kTiny, .weights = false, .carry = true}));
    runtime::LapidaryWriter out(kind, "hand made", "test");
    for (const auto& [name, text] : source.texts)
        if (with_config || name != "config.json") out.add_text(name, text);
    uint64_t bytes = 0;
    for (const SourceTensor& t : source.tensors) {
        if (!t.used) continue;
        const Layout layout = layout_of(t);
        out.add_tensor(t, t.group, t.format, layout);
        bytes += t.bytes_as(t.format, layout);
    }
    const fs::path path = folder.path() / "a.lapidary";
    REQUIRE(out.start(path));
    const std::string zeros(bytes, '\0');
    REQUIRE(out.write(zeros.data(), zeros.size()));
    REQUIRE(out.finish());
    return path;
}

Layout in_rows(const SourceTensor&) { return Layout::rows; }

}  // namespace

TEST_CASE("lapidary loader: a file by hand, with or without .lapidary in its name") {
    const ScratchFolder folder;
    const fs::path path = write_tiny(folder, "hf", true, in_rows);
    const LoadedModel model = unwrap(load_model({.model = path}));
    CHECK(model.packed);
    CHECK(model.source == "hf");
    CHECK(model.config.name == "hand made");
    CHECK(model.vocabulary);
    CHECK(model.weights.layers.size() == 8);
    CHECK(model.weights.layers[0].q.layout == Layout::rows);
    CHECK(model.metadata.back().first == "packed from");
    fs::rename(path, folder.path() / "b.bin");
    CHECK(load_model({.model = folder.path() / "b.bin"}));
}

TEST_CASE("lapidary loader: panels are viewed where they lie, but only of the embedding and the layers") {
    const ScratchFolder folder;
    const auto proper = [](const SourceTensor& t) {
        return t.role != TensorRole::other && t.can_lie_in_panels(t.format) ? Layout::panels : Layout::rows;
    };
    const LoadedModel model = unwrap(load_model({.model = write_tiny(folder, "hf", true, proper)}));
    CHECK(model.weights.embed.layout == Layout::panels);
    CHECK(model.weights.embed.offset % 64 == 0);
    CHECK(model.weights.layers[0].down.layout == Layout::panels);
    const auto everywhere = [](const SourceTensor& t) {
        return t.can_lie_in_panels(t.format) ? Layout::panels : Layout::rows;
    };
    const auto loaded = load_model({.model = write_tiny(folder, "hf", true, everywhere)});
    REQUIRE(!loaded);
    CHECK(loaded.error().code == Errc::bad_model_file);
    CHECK(loaded.error().message.find("panels") != std::string::npos);
}

TEST_CASE("lapidary loader: unknown kinds and missing texts are errors of the file") {
    const ScratchFolder folder;
    const auto kind = load_model({.model = write_tiny(folder, "onnx", true, in_rows)});
    REQUIRE(!kind);
    CHECK(kind.error().code == Errc::unsupported_model);
    CHECK(kind.error().message.find("'onnx'") != std::string::npos);
    const auto text = load_model({.model = write_tiny(folder, "hf", false, in_rows)});
    REQUIRE(!text);
    CHECK(text.error().message.find("holds no config.json") != std::string::npos);
    CHECK(!load_model({.model = write_tiny(folder, "gguf", true, in_rows)}));
}

TEST_CASE("lapidary loader: texts in a folder and texts in a file are read alike") {
    const ScratchFolder folder;
    const TextFiles in_folder(kTiny),
        in_file(unwrap(runtime::open_lapidary(write_tiny(folder, "hf", true, in_rows))));
    for (const TextFiles* files : {&in_folder, &in_file}) {
        CHECK(files->has("config.json"));
        CHECK_FALSE(files->has("model.txt"));
        CHECK(unwrap(files->read_if_present("model.txt", 10)).empty());
        CHECK(!files->read("model.txt", 10));
        CHECK(!files->read("config.json", 10));
    }
    CHECK(unwrap(in_folder.read("config.json", 1 << 20)) == unwrap(in_file.read("config.json", 1 << 20)));
    CHECK(in_folder.title() == "tiny");
    CHECK(in_file.title() == "hand made");
}
