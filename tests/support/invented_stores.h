// Stores of other programs, made up in a scratch folder.
#pragma once

#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/scratch_folder.h"

namespace lapidary::test {

inline std::filesystem::path put_file(const std::filesystem::path& file, const std::string& content) {
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file, std::ios::binary) << content;
    return file;
}

inline std::string ollama_layer(const std::string& kind, const std::string& digest, size_t bytes) {
    return R"({"mediaType":"application/vnd.ollama.image.)" + kind + R"(","digest":")" + digest + R"(","size":)" + std::to_string(bytes) + "}";
}

// The folder that OLLAMA_MODELS names.
class OllamaStore {
  public:
    explicit OllamaStore(std::filesystem::path root) : root_(std::move(root)) {}

    const std::filesystem::path& root() const { return root_; }
    std::filesystem::path blob_of(const std::string& digest) const { return root_ / "blobs" / ("sha256-" + digest.substr(7)); }
    // Another digest for every blob: nobody computes them here.
    std::string digest() {
        std::string hex = std::to_string(++blobs_);
        return "sha256:" + std::string(64 - hex.size(), 'a') + hex;
    }
    // A layer, with its blob.
    std::string layer(const std::string& kind, const std::string& content) {
        const std::string name = digest();
        put_file(blob_of(name), content);
        return ollama_layer(kind, name, content.size());
    }
    // "registry.ollama.ai/library/gemma4/12b"
    std::filesystem::path manifest(const std::string& place, const std::vector<std::string>& layers) const {
        std::string list;
        for (const std::string& layer : layers) list += (list.empty() ? "" : ",") + layer;
        return put_file(root_ / "manifests" / place, R"({"schemaVersion":2,"layers":[)" + list + "]}");
    }

  private:
    std::filesystem::path root_;
    int blobs_ = 0;
};

// The folder that HF_HUB_CACHE names.
class HubCache {
  public:
    explicit HubCache(std::filesystem::path root) : root_(std::move(root)) {}

    const std::filesystem::path& root() const { return root_; }
    std::filesystem::path repo(const std::string& name) const { return root_ / ("models--" + name); }  // org--name
    std::filesystem::path snapshot(const std::string& name, const std::string& commit) const { return repo(name) / "snapshots" / commit; }
    void ref(const std::string& name, const std::string& revision, const std::string& commit) const {
        put_file(repo(name) / "refs" / revision, commit);
    }
    // A blob and the link to it.
    std::filesystem::path file(const std::string& name, const std::string& commit, const std::string& file, const std::string& content) {
        const std::filesystem::path blob = put_file(repo(name) / "blobs" / ("b" + std::to_string(++blobs_)), content);
        const std::filesystem::path link = snapshot(name, commit) / file;
        std::filesystem::create_directories(link.parent_path());
        std::filesystem::create_symlink(std::filesystem::relative(blob, link.parent_path()), link);
        return link;
    }

  private:
    std::filesystem::path root_;
    int blobs_ = 0;
};

}  // namespace lapidary::test
