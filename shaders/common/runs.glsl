// Which blocks of 256 positions a slot of split attention holds: a function of absolute positions, so that the bits of a
// row do not depend on what else a step computes. kSplit 1: one block each up to position 16384, then four up to 65536,
// then sixteen; the last run takes what is left. kSplit 2: every `slots`-th block, for windows of fewer blocks than that.
const int kOnes = 64, kFours = 48, kRuns = 160;

uint slot_of(int block, uint slots) {
    if (kSplit == 2) return uint(block) % slots;
    const int run = block < 64 ? block : block < 256 ? kOnes + (block - 64) / 4 : kOnes + kFours + (block - 256) / 16;
    return uint(min(run, kRuns - 1));
}

// [begin, end) of the blocks of a slot, of those from `first` on.
ivec2 blocks_of(uint slot, uint slots, int first) {
    if (kSplit == 2) {
        const int block = first + int((slot + slots - uint(first) % slots) % slots);
        return ivec2(block, block + 1);
    }
    const int run = int(slot);
    if (run < kOnes) return ivec2(run, run + 1);
    if (run < kOnes + kFours) return 64 + 4 * (run - kOnes) + ivec2(0, 4);
    const int block = 256 + 16 * (run - kOnes - kFours);
    return ivec2(block, run == kRuns - 1 ? 0x7fffff : block + 16);
}
