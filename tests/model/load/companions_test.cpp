// What a folder's files are taken for, and which of them a folder given as a model means.
#include "model/load/companions.h"

#include <doctest/doctest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "model/load/loader.h"
#include "tests/support/small_model.h"

using namespace lapidary;
using namespace lapidary::model;
using lapidary::test::GgufBuilder;
using lapidary::test::ScratchFolder;
namespace fs = std::filesystem;

namespace {

bool mentions(const std::string& text, const std::string& words) { return text.find(words) != std::string::npos; }

}  // namespace

TEST_CASE("a folder's files are known by their content") {
    const ScratchFolder folder;
    folder.write("1", test::small_gguf().build());
    folder.write("2", test::small_gguf().text("general.type", "model").build());
    folder.write("3", test::small_projector().build());
    folder.write("4", test::small_gguf().text("general.type", "adapter").build());
    folder.write("5", test::small_gguf().text("general.architecture", "llama").build());
    folder.write("6-00001-of-00002.gguf", test::small_gguf().u32("split.count", 2).build());
    folder.write("6-00002-of-00002.gguf", GgufBuilder().u32("split.no", 1).u32("split.count", 2).build());
    folder.write("notes.txt", "GGU");
    folder.write("7.GGUF", "words");
    GgufBuilder vocabulary = test::small_gguf();
    vocabulary.tensors.clear();
    folder.write("8", vocabulary.build());
    fs::create_directory(folder.path() / "9.gguf");
    const auto files = look_into_folder(folder.path());
    REQUIRE(files);
    REQUIRE(files->size() == 9);
    const FileKind kinds[] = {FileKind::model, FileKind::model, FileKind::projector, FileKind::other, FileKind::other,
                              FileKind::model, FileKind::other, FileKind::other,     FileKind::other};
    const char* what[] = {"", "",           "",                    ": this is an adapter", "'llama'",
                          "", "later part", " is not a GGUF file", "without weights"};
    for (size_t i = 0; i < 9; i++) {
        CAPTURE(i);
        CHECK((*files)[i].kind == kinds[i]);
        CHECK(mentions((*files)[i].what, what[i]));
    }
    CHECK_FALSE(look_into_folder(folder.path() / "absent"));
}

TEST_CASE("a folder means its one model among companions") {
    const ScratchFolder folder;
    folder.write("weights", test::small_gguf().build());
    folder.write("mmproj.gguf", test::small_projector().build());
    folder.write("a-lora.gguf", test::small_gguf().text("general.type", "adapter").build());
    folder.write("._weights.gguf", std::string("\0\5\x16\7\0\2\0\0", 8));
    const auto loaded = load_model({.model = folder.path()});
    if (!loaded) FAIL(loaded.error().message);
    CHECK(loaded->files.front().filename() == "weights");

    folder.write("z.gguf", test::small_gguf().build());
    const auto two = load_model({.model = folder.path()});
    REQUIRE_FALSE(two);
    CHECK(two.error().code == Errc::model_not_found);
    CHECK(mentions(two.error().message, "2 models: 'weights'; 'z.gguf'"));
}

TEST_CASE("a folder without a model says what was looked at, of a single file, its own error") {
    const ScratchFolder folder;
    folder.write("a.gguf", test::small_gguf().text("general.architecture", "qwen3").build());
    auto loaded = load_model({.model = folder.path()});
    REQUIRE_FALSE(loaded);
    CHECK(loaded.error().code == Errc::unsupported_model);
    CHECK(mentions(loaded.error().message, "'qwen3'"));
    folder.write("b.gguf", test::small_projector().build());
    loaded = load_model({.model = folder.path()});
    REQUIRE_FALSE(loaded);
    CHECK(loaded.error().code == Errc::model_not_found);
    CHECK(mentions(loaded.error().message, "'a.gguf': the architecture is 'qwen3'; 'b.gguf' is a projector"));
}

TEST_CASE("a model that is a pipe, a socket or a device is an error, not a wait") {
    const ScratchFolder folder;
    const fs::path pipe = folder.path() / "m.gguf", socket_file = folder.path() / "s.lapidary";
    REQUIRE(mkfifo(pipe.c_str(), 0600) == 0);
    const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    REQUIRE(socket_file.string().size() < sizeof address.sun_path);
    socket_file.string().copy(address.sun_path, sizeof address.sun_path - 1);
    REQUIRE(bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    close(fd);
    for (const auto& [path, words] : {std::pair<fs::path, const char*>{pipe, "is a named pipe"},
                                      {socket_file, "is a socket"},
                                      {"/dev/zero", "is a device"}}) {
        const auto loaded = load_model({.model = path});
        REQUIRE_FALSE(loaded);
        CHECK(loaded.error().code == Errc::bad_model_file);
        CHECK(mentions(loaded.error().message, words));
    }
    const auto projector = load_model({.model = folder.write("a.gguf", test::small_gguf().build()), .mmproj = pipe});
    REQUIRE_FALSE(projector);
    CHECK(mentions(projector.error().message, "not a regular file"));
}
