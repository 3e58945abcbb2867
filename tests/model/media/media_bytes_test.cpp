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
        {std::string("\0\0\0\x08wide", 8), "QuickTime video"},
        {"FLV\1\5", "Flash video"},
        {"#!AMR\n", "AMR"},
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
    CHECK(detect_media_type(std::vector<uint8_t>{0xff, 0xfe, 'a', 0}) == "UTF-16 text");
    CHECK(detect_media_type(std::vector<uint8_t>{0xff, 0xf1, 0x50, 0x80}) == "AAC");
    CHECK(detect_media_type(std::vector<uint8_t>{0xff, 0xfd, 0x84, 0xc0}) == "MPEG audio layer II");
    CHECK(detect_media_type(std::vector<uint8_t>{0xff, 0xe3, 0x40, 0xc0}) == "MP3");           // MPEG 2.5
    CHECK(detect_media_type(std::vector<uint8_t>{0xff, 0xfb, 0xf0, 0}) == "unknown data");  // no such bit rate
    CHECK(detect_media_type(std::vector<uint8_t>{0, 5, 22, 7, 0, 2}) == "macOS metadata of another file (AppleDouble)");
}

TEST_CASE("detect_media_type: a transport stream by the sync bytes of its packets") {
    std::vector<uint8_t> packets(3 * 188, 0);
    for (const size_t at : {0, 188, 376}) packets[at] = 0x47;
    CHECK(detect_media_type(packets) == "MPEG video");
    packets[376] = 0;
    CHECK(detect_media_type(packets) == "unknown data");
    for (const char* type : {"MPEG video", "MPEG-4 audio", "Ogg"}) CHECK(has_tracks(type));
    for (const char* type : {"WAV", "PNG", "text", "unknown data"}) CHECK_FALSE(has_tracks(type));
}

TEST_CASE("read_media_head: the front of a file, and its size") {
    uint64_t size = 0;
    const auto path = fixture_dir() / "rgb.png";
    const auto head = read_media_head(path, 10, &size);
    REQUIRE(head.has_value());
    const auto whole = file_bytes(path);
    CHECK(*head == std::vector<uint8_t>(whole.begin(), whole.begin() + 10));
    CHECK(size == whole.size());
    CHECK(read_media_head(path, 1 << 20, &size).value() == whole);
    CHECK(read_media_head("/dev/zero", 10, &size).error().code == Errc::media_unsupported);
}

TEST_CASE("read_media_file: all bytes of a file") {
    const auto path = fixture_dir() / "rgb.png";
    const auto bytes = read_media_file(path);
    REQUIRE(bytes.has_value());
    CHECK(*bytes == file_bytes(path));
    CHECK(bytes->size() == std::filesystem::file_size(path));
}
