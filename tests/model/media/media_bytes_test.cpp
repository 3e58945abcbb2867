// Recognition by signature; how files are refused is tested through image_file and audio_file.
#include "model/media/media_bytes.h"

#include <doctest/doctest.h>

#include <string>

#include "tests/model/media/support.h"

using namespace lapidary;
using namespace lapidary::model;

TEST_CASE("detect_media_type: by the first bytes") {
    struct Row {
        std::string bytes;
        std::string_view type;
    };
    const Row rows[] = {
        {std::string("RIFF\1\2\3\4WEBPVP8 ", 16), "WebP"},
        {std::string("RIFF\1\2\3\4WAVEfmt ", 16), "WAV"},
        {std::string("\0\0\0\x18"
                     "ftypheic",
                     12),
         "HEIC"},
        {std::string("\0\0\0\x18"
                     "ftypisom",
                     12),
         "MPEG-4 video"},
        {"%PDF-1.7", "PDF"},
        {"plain words\n", "text"},
        {"caf\xc3\xa9", "text"},
        {"{\"a\": 1}", "text"},
        {std::string("\0\1\2", 3), "unknown data"},
        {"", "unknown data"},
    };
    for (const Row& row : rows) {
        const std::vector<uint8_t> bytes(row.bytes.begin(), row.bytes.end());
        CHECK(detect_media_type(bytes) == row.type);
    }
    CHECK(detect_media_type(file_bytes(fixture_dir() / "rgb_420.jpg")) == "JPEG");
    CHECK(detect_media_type(file_bytes(fixture_dir() / "ramp.flac")) == "FLAC");
    CHECK(detect_media_type(file_bytes(fixture_dir() / "tone.ogg")) == "Ogg");
    CHECK(detect_media_type(file_bytes(fixture_dir() / "tone.mp3")) == "MP3");
    CHECK(detect_media_type(std::vector<uint8_t>{0xff, 0xfe, 'a', 0}) == "unknown data");  // UTF-16
}

TEST_CASE("read_media_file: all bytes of a file") {
    const auto path = fixture_dir() / "rgb.png";
    const auto bytes = read_media_file(path);
    REQUIRE(bytes.has_value());
    CHECK(*bytes == file_bytes(path));
    CHECK(bytes->size() == std::filesystem::file_size(path));
}
