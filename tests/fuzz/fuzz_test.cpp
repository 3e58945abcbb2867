// The fuzzers' targets with any compiler: every seed, some hundred changes of each, and what once was found.
#include <doctest/doctest.h>

#include <filesystem>
#include <string>

#include "tests/fuzz/target.h"
#include "tests/support/scratch_folder.h"

using namespace lapidary::fuzz;

namespace {

// xorshift32 (Marsaglia).
class Random {
  public:
    uint32_t below(size_t bound) {
        state_ ^= state_ << 13;
        state_ ^= state_ >> 17;
        state_ ^= state_ << 5;
        return static_cast<uint32_t>(state_ % bound);
    }

  private:
    uint32_t state_ = 2463534242u;
};

// One to four places overwritten, cut out, or filled with a word of the format.
std::string changed(std::string input, const std::vector<std::string>& words, Random& random) {
    for (uint32_t changes = 1 + random.below(4); changes > 0 && !input.empty(); changes--) {
        const size_t at = random.below(input.size());
        switch (random.below(4)) {
            case 0: input[at] = static_cast<char>(random.below(256)); break;
            case 1: input.resize(at); break;
            case 2: input.erase(at, random.below(16)); break;
            default:
                input.insert(at, words.empty() ? std::string(8, '\xff') : words[random.below(words.size())]);
        }
    }
    return input;
}

void run_seeds(const Target& target) {
    const auto words = target.words ? target.words() : std::vector<std::string>();
    Random random;
    size_t number = 0;
    const auto seeds = target.seeds();
    REQUIRE(!seeds.empty());
    for (const std::string& seed : seeds) {
        CAPTURE(number++);
        REQUIRE(seed.size() <= target.max_bytes);
        target.one(bytes_of_text(seed));
        for (int i = 0; i < 40; i++) {
            std::string input = changed(seed, words, random);
            if (target.mend && i % 4 != 0) input = target.mend(std::move(input));
            target.one(bytes_of_text(input));
        }
    }
}

void run_regressions(const Target& target) {
    const auto folder = std::filesystem::path(LAPIDARY_SOURCE_DIR) / "tests/fuzz/regressions" / target.name;
    if (!std::filesystem::exists(folder)) return;
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
        CAPTURE(entry.path().string());
        target.one(bytes_of_text(lapidary::test::read_file(entry.path())));
    }
}

}  // namespace

#define LAPIDARY_FUZZ_CASE(target)                            \
    TEST_CASE(#target ": seeds, changes of them, findings") { \
        run_seeds(target);                                    \
        run_regressions(target);                              \
    }
LAPIDARY_FUZZ_CASE(kCalls)
LAPIDARY_FUZZ_CASE(kFolder)
LAPIDARY_FUZZ_CASE(kGguf)
LAPIDARY_FUZZ_CASE(kLapidary)
LAPIDARY_FUZZ_CASE(kManifest)
LAPIDARY_FUZZ_CASE(kMessages)
LAPIDARY_FUZZ_CASE(kPicture)
LAPIDARY_FUZZ_CASE(kSchema)
LAPIDARY_FUZZ_CASE(kSound)
LAPIDARY_FUZZ_CASE(kVideo)
LAPIDARY_FUZZ_CASE(kTokenizer)
