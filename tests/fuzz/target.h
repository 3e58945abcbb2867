// What a fuzzer is made of: a function that takes any bytes, the inputs to start from, and the words worth
// trying. fuzzer.cpp drives one target with libFuzzer; fuzz_test.cpp runs all of them over their seeds with
// any compiler.
#pragma once

#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

namespace lapidary::fuzz {

using Bytes = std::span<const uint8_t>;

struct Target {
    const char* name;
    size_t max_bytes;    // of an input
    void (*one)(Bytes);  // throws Broken when a promise does not hold
    std::vector<std::string> (*seeds)();
    std::vector<std::string> (*words)() = nullptr;  // texts that the format knows
    std::string (*mend)(std::string) = nullptr;     // a changed input with its checksums right again
};

extern const Target kCalls, kFolder, kGguf, kLapidary, kManifest, kMessages, kPicture, kSchema, kSound, kTokenizer, kVideo;
inline const Target* const kTargets[] = {&kCalls,   &kFolder,  &kGguf,   &kLapidary, &kManifest, &kMessages,
                                         &kPicture, &kSchema, &kSound, &kTokenizer, &kVideo};

// A promise of the code under test that does not hold for this input.
struct Broken : std::logic_error {
    using std::logic_error::logic_error;
};
inline void promise(bool holds, const std::string& what) {
    if (!holds) throw Broken(what);
}

inline Bytes bytes_of_text(std::string_view text) {
    return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}
inline std::string text_of(Bytes bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// FNV-1a (Fowler, Noll, Vo): chooses options of a run from its input, so that a file of the format itself is
// an input.
inline uint32_t hash_of(Bytes bytes) {
    uint32_t hash = 2166136261u;
    for (const uint8_t byte : bytes) hash = (hash ^ byte) * 16777619u;
    return hash ^ hash >> 15;
}

}  // namespace lapidary::fuzz
