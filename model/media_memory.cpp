// Some dozens of entries, found by looking at all; see media_memory.h.
#include "model/media_memory.h"

#include <sys/stat.h>
#include <xxhash.h>

#include <algorithm>
#include <numeric>
#include <span>
#include <utility>

#include "model/media/media_source.h"

namespace lapidary::model {
namespace {

constexpr uint64_t kHashedFileBytes = 64 << 20;

MediaContent content_of(const void* bytes, size_t count, uint64_t seed) {
    const XXH128_hash_t hash = XXH3_128bits_withSeed(bytes, count, seed);
    return {hash.low64, hash.high64};
}

std::optional<MediaContent> content_of_file(const std::filesystem::path& path) {
    const auto source = MediaSource::file(path);
    if (!source) return {};
    if (source->size() > kHashedFileBytes) {
        struct stat s = {};
        if (::stat(path.c_str(), &s) != 0) return {};
        const uint64_t place[] = {static_cast<uint64_t>(s.st_dev), static_cast<uint64_t>(s.st_ino), static_cast<uint64_t>(s.st_size),
                                  static_cast<uint64_t>(s.st_mtim.tv_sec), static_cast<uint64_t>(s.st_mtim.tv_nsec)};
        return content_of(place, sizeof place, 1);
    }
    std::vector<uint8_t> bytes(source->size());
    if (source->read_at(0, bytes) != static_cast<int64_t>(bytes.size())) return {};
    return content_of(bytes.data(), bytes.size(), 0);
}

}  // namespace

void MediaRows::seal() {
    const auto& values = picture ? patches.values : frames;
    // The same patches in another shape are another picture, and no picture is a recording.
    const uint64_t seed = picture ? static_cast<uint64_t>(patches.x.empty() ? 0 : patches.x.back()) + 1 : 0;
    content = content_of(values.data(), values.size() * sizeof(float), seed);
}

std::optional<MediaKey> key_of(const Part& part) {
    MediaKey key{part.kind, {}, part.frames};
    if (!part.rgb.empty()) {
        key.source = content_of(part.rgb.data(), part.rgb.size(), (static_cast<uint64_t>(part.width) << 32) + static_cast<uint64_t>(part.height));
    } else if (!part.samples.empty()) {
        key.source = content_of(part.samples.data(), part.samples.size() * sizeof(float), static_cast<uint64_t>(part.sample_rate) << 32);
    } else if (!part.encoded.empty()) {
        key.source = content_of(part.encoded.data(), part.encoded.size(), 0);
    } else if (const auto content = content_of_file(part.path)) {
        key.source = *content;
    } else {
        return {};
    }
    return key;
}

template <class Wanted>
MediaMemory::Entry* MediaMemory::find(const Wanted& wanted) {
    const auto found = std::find_if(entries_.begin(), entries_.end(), wanted);
    if (found == entries_.end()) return nullptr;
    std::rotate(found, found + 1, entries_.end());
    return &entries_.back();
}

void MediaMemory::add(Entry entry) {
    if (entry.bytes > kLimitBytes) return;
    bytes_ += entry.bytes;
    entries_.push_back(std::move(entry));
    while (bytes_ > kLimitBytes) {
        bytes_ -= entries_.front().bytes;
        entries_.erase(entries_.begin());
    }
}

MediaMemory::Decoded MediaMemory::decoded(const MediaKey& key) {
    const std::lock_guard lock(mutex_);
    const Entry* found = find([&](const Entry& e) { return e.blocks && e.key == key; });
    return found ? found->blocks : nullptr;
}

void MediaMemory::keep(const MediaKey& key, Decoded blocks) {
    const std::lock_guard lock(mutex_);
    if (find([&](const Entry& e) { return e.blocks && e.key == key; })) return;  // two threads decoded it
    const uint64_t bytes = std::accumulate(blocks->begin(), blocks->end(), uint64_t{0}, [](uint64_t sum, const MediaBlock& b) { return sum + b.rows->bytes(); });
    add({key, {}, std::move(blocks), nullptr, bytes});
}

MediaMemory::Embedded MediaMemory::embedded(const MediaContent& content) {
    const std::lock_guard lock(mutex_);
    const Entry* found = find([&](const Entry& e) { return e.rows && e.content == content; });
    return found ? found->rows : nullptr;
}

void MediaMemory::keep(const MediaContent& content, Embedded rows) {
    const std::lock_guard lock(mutex_);
    if (find([&](const Entry& e) { return e.rows && e.content == content; })) return;
    const uint64_t bytes = rows->size() * sizeof(float);
    add({{}, content, nullptr, std::move(rows), bytes});
}

uint64_t MediaMemory::forget() {
    const std::lock_guard lock(mutex_);
    entries_.clear();
    return std::exchange(bytes_, 0);
}

}  // namespace lapidary::model
