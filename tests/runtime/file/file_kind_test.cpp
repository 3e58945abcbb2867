// Files that are no model say what they are.
#include "runtime/file/file_kind.h"

#include <doctest/doctest.h>

#include "tests/support/small_model.h"

using namespace lapidary;
using namespace lapidary::runtime;

namespace {

std::string said_of(const std::string& file) { return not_gguf(file, "x.gguf").message; }

}  // namespace

TEST_CASE("well-known kinds are named") {
    const std::pair<std::string, const char*> kinds[] = {
        {"", "is empty"},
        {"version https://git-lfs.github.com/spec/v1\n", "pointer of Git LFS"},
        {"<!DOCTYPE html><html>", "web page"},
        {"<HTML><head>", "web page"},
        {"tjgg\3\0\0\0", "before GGUF"},
        {std::string("PK\3\4rest"), "zip archive"},
        {"\x80\2ctorch", "pickle"},
        {"\x1f\x8b\x08", "gzip"},
        {"(\xb5/\xfd", "zstd"},
        {"\x89PNG\r\n\x1a\n", "a picture"},
        {"RIFF....WAVE", "a recording"},
        {std::string("\0\5\x16\7\0\2", 6), "AppleDouble"},
        {std::string(5000, '\0'), "nothing but zeros"},
        {"GGU", "ends inside the magic number"},
        {test::small_safetensors().build(), "one safetensors file"},
        {"I am a poem", "is not a GGUF file"},
    };
    for (const auto& kind : kinds) {
        const std::string& file = kind.first;
        const char* words = kind.second;
        CAPTURE(words);
        CHECK(said_of(file).find(words) != std::string::npos);
        CHECK_FALSE(not_gguf(file, "x").hint.empty());
    }
}

TEST_CASE("what may be safetensors is no other kind") {
    CHECK_FALSE(other_kind(test::small_safetensors().build(), "x"));
    CHECK_FALSE(other_kind("short", "x"));
}
