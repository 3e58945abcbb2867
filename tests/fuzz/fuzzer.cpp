// One target under libFuzzer; the environment names it: LAPIDARY_FUZZ=gguf. (An argument would be lost where
// libFuzzer starts itself again.) `--prepare FOLDER` writes what a run starts from: FOLDER/seeds/*,
// FOLDER/words (a dictionary) and FOLDER/max_len.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string_view>

#include "tests/fuzz/target.h"

using lapidary::fuzz::Target;

extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size);

namespace {

const Target& named_target() {
    const char* name = std::getenv("LAPIDARY_FUZZ");
    for (const Target* target : lapidary::fuzz::kTargets)
        if (name && std::strcmp(name, target->name) == 0) return *target;
    std::fprintf(stderr, "set LAPIDARY_FUZZ to one of:");
    for (const Target* target : lapidary::fuzz::kTargets) std::fprintf(stderr, " %s", target->name);
    std::fprintf(stderr, "\n");
    std::exit(2);
}

const Target& target() {
    static const Target& target = named_target();
    return target;
}

void write(const std::filesystem::path& path, std::string_view bytes) {
    std::ofstream(path, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

// A line of libFuzzer's dictionary: "text", with bytes that need it as \xNN.
std::string dictionary_line(std::string_view word) {
    std::string line = "\"";
    for (const char c : word) {
        char code[8];
        std::snprintf(code, sizeof code, "\\x%02X", static_cast<unsigned char>(c));
        line += c > ' ' && c < 127 && c != '"' && c != '\\' ? std::string(1, c) : std::string(code);
    }
    return line + "\"\n";
}

void prepare(const std::filesystem::path& folder) {
    std::filesystem::create_directories(folder / "seeds");
    int number = 0;
    for (const std::string& seed : target().seeds()) write(folder / "seeds" / std::to_string(number++), seed);
    std::string words;
    if (target().words)
        for (const std::string& word : target().words()) words += dictionary_line(word);
    write(folder / "words", words);
    write(folder / "max_len", std::to_string(target().max_bytes));
}

}  // namespace

extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv) {
    if (*argc != 3 || std::strcmp((*argv)[1], "--prepare") != 0) return 0;
    prepare((*argv)[2]);
    std::exit(0);
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    target().one({data, size});
    return 0;
}

// Most changes break a checksum, and what lies behind it would never be reached: it is mended, mostly.
extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size, unsigned int seed) {
    size = LLVMFuzzerMutate(data, size, max_size);
    if (!target().mend || seed % 8 == 0) return size;
    const std::string mended = target().mend(std::string(reinterpret_cast<const char*>(data), size));
    size = std::min(mended.size(), max_size);
    std::memcpy(data, mended.data(), size);
    return size;
}
