// The /proc and /sys of an invented machine, in a folder of its own.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "tests/support/scratch_folder.h"

namespace lapidary::test {

class InventedMachine {
  public:
    const std::filesystem::path& root() const { return folder_.path(); }
    // `file` as "proc/meminfo"; a line feed is put behind `text`, as the kernel does.
    void put(const std::string& file, std::string_view text) const {
        std::filesystem::create_directories((root() / file).parent_path());
        folder_.write(file, std::string(text) + "\n");
    }
    void remove(const std::string& file) const { std::filesystem::remove_all(root() / file); }

  private:
    ScratchFolder folder_;
};

}  // namespace lapidary::test
