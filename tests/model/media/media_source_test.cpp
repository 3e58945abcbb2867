// Bytes from a file and from memory, and paths that are neither.
#include "model/media/media_source.h"

#include <doctest/doctest.h>

#include <utility>

#include "tests/model/media/support.h"

using namespace lapidary;
using namespace lapidary::model;

TEST_CASE("media source: a file and its bytes in memory read alike, also behind the end") {
    const auto path = fixture_dir() / "rgb.png";
    const auto bytes = file_bytes(path);
    MediaSource opened = MediaSource::file(path).value();
    const MediaSource file = std::move(opened);
    const MediaSource memory = MediaSource::memory(bytes, "a picture");
    CHECK(file.name() == path.string());
    CHECK(memory.name() == "a picture");
    for (const MediaSource* source : {&file, &memory}) {
        CHECK(source->size() == bytes.size());
        CHECK(source->head(10).value() == std::vector<uint8_t>(bytes.begin(), bytes.begin() + 10));
        CHECK(source->head(1 << 20).value() == bytes);
        std::vector<uint8_t> target(16);
        CHECK(source->read_at(bytes.size() - 4, target) == 4);
        CHECK(target[0] == bytes[bytes.size() - 4]);
        CHECK(source->read_at(bytes.size(), target) == 0);
        CHECK(source->read_at(UINT64_MAX, target) == 0);
    }
}

TEST_CASE("media source: what is no regular file with bytes") {
    CHECK(MediaSource::file(fixture_dir() / "absent").error().code == Errc::not_found);
    CHECK(MediaSource::file(fixture_dir()).error().code == Errc::media_unsupported);
    CHECK(MediaSource::file("/dev/null").error().code == Errc::media_unsupported);
}
