// Modules, specialisation, the cache file; see pipelines.h.
#include "runtime/vulkan/pipelines.h"

#include <unistd.h>

#include <cstring>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <utility>

#include <xxhash.h>

#include "base/describe.h"
#include "base/try.h"
#include "runtime/file/output_file.h"

namespace lapidary::runtime::vulkan {
namespace {

// In front of the driver's bytes: drivers need not see what is damaged behind their own header, and some do not.
struct FileHeader {
    char magic[8] = {'l', 'a', 'p', 'p', 'i', 'p', 'e', '1'};
    uint64_t bytes = 0, hash = 0;
};

// The driver's bytes; none where they are not those that were written.
std::vector<char> read_whole(const std::filesystem::path& file) {
    if (file.empty()) return {};
    std::ifstream in(file, std::ios::binary);
    std::vector<char> all{std::istreambuf_iterator<char>(in), {}};
    FileHeader header;
    if (all.size() < sizeof header || std::memcmp(all.data(), header.magic, sizeof header.magic) != 0) return {};
    std::memcpy(&header, all.data(), sizeof header);
    all.erase(all.begin(), all.begin() + sizeof header);
    if (all.size() != header.bytes || XXH3_64bits(all.data(), all.size()) != header.hash) return {};
    return all;
}

// A cache of another driver: Vulkan requires drivers to see it.
bool fits(const std::vector<char>& bytes, const DeviceFacts& facts) {
    VkPipelineCacheHeaderVersionOne header;
    if (bytes.size() < sizeof header) return false;
    std::memcpy(&header, bytes.data(), sizeof header);
    VkPhysicalDeviceProperties properties;
    vkGetPhysicalDeviceProperties(facts.handle, &properties);
    return header.headerSize >= sizeof header && header.headerVersion == VK_PIPELINE_CACHE_HEADER_VERSION_ONE &&
           header.vendorID == properties.vendorID && header.deviceID == properties.deviceID &&
           std::memcmp(header.pipelineCacheUUID, properties.pipelineCacheUUID, VK_UUID_SIZE) == 0;
}

}  // namespace

Result<std::unique_ptr<Pipelines>> Pipelines::create(std::shared_ptr<Context> context, std::filesystem::path cache_file) {
    auto made = std::unique_ptr<Pipelines>(new Pipelines());
    made->context_ = std::move(context);
    made->file_ = std::move(cache_file);
    const Context& c = *made->context_;
    VkPushConstantRange push{VK_SHADER_STAGE_COMPUTE_BIT, 0, kPushBytes};
    VkPipelineLayoutCreateInfo layout{VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO};
    layout.pushConstantRangeCount = 1;
    layout.pPushConstantRanges = &push;
    if (const VkResult r = c.vk().vkCreatePipelineLayout(c.device(), &layout, nullptr, &made->layout_); r != VK_SUCCESS)
        return failure("no pipeline layout", r);
    std::vector<char> before = read_whole(made->file_);
    if (!fits(before, c.facts())) before.clear();
    VkPipelineCacheCreateInfo cache{VK_STRUCTURE_TYPE_PIPELINE_CACHE_CREATE_INFO};
    cache.initialDataSize = before.size();
    cache.pInitialData = before.data();
    VkResult r = c.vk().vkCreatePipelineCache(c.device(), &cache, nullptr, &made->cache_);
    if (r != VK_SUCCESS && cache.initialDataSize > 0) {
        cache.initialDataSize = 0;
        r = c.vk().vkCreatePipelineCache(c.device(), &cache, nullptr, &made->cache_);
    }
    if (r != VK_SUCCESS) return failure("no pipeline cache", r);
    return made;
}

Pipelines::~Pipelines() {
    stop_warming();
    const Context& c = *context_;
    for (const auto& [key, pipeline] : made_) c.vk().vkDestroyPipeline(c.device(), pipeline, nullptr);
    for (const auto& [shader, module] : modules_) c.vk().vkDestroyShaderModule(c.device(), module, nullptr);
    if (cache_) c.vk().vkDestroyPipelineCache(c.device(), cache_, nullptr);
    if (layout_) c.vk().vkDestroyPipelineLayout(c.device(), layout_, nullptr);
}

size_t Pipelines::count() const {
    const std::lock_guard guard(lock_);
    return made_.size();
}

size_t Pipelines::waited_for() const {
    const std::lock_guard guard(lock_);
    return waited_for_;
}

Result<VkPipeline> Pipelines::get(const PipelineKey& key) {
    {
        const std::lock_guard guard(lock_);
        asked_.insert(key);
    }
    return make_once(key, true);
}

// Who comes first makes it, without the lock; others who want the same wait.
Result<VkPipeline> Pipelines::make_once(const PipelineKey& key, bool waited) {
    std::unique_lock guard(lock_);
    for (;;) {
        if (const auto found = made_.find(key); found != made_.end()) return found->second;
        if (being_made_.insert(key).second) break;
        one_made_.wait(guard);
    }
    guard.unlock();
    const auto made_it = [&] {
        guard.lock();
        being_made_.erase(key);
        one_made_.notify_all();
    };
    Result<VkPipeline> pipeline = VkPipeline{VK_NULL_HANDLE};
    try {
        pipeline = make(key);
    } catch (...) {  // of memory
        made_it();
        throw;
    }
    made_it();
    if (pipeline) made_.emplace(key, *pipeline);
    if (pipeline && waited) ++waited_for_;
    return pipeline;
}

void Pipelines::warm() {
    std::vector<PipelineKey> keys = read_keys();
    if (keys.empty() || warmer_.joinable()) return;
    warmer_process_ = ::getpid();
    warmer_ = std::thread([this, keys = std::move(keys)] {
        for (const PipelineKey& key : keys) {
            if (stop_) return;
            try {
                (void)make_once(key, false);  // who needs it meets the error
            } catch (const std::bad_alloc&) {
                return;
            }
        }
    });
}

void Pipelines::finish_warming() {
    if (!warmer_.joinable()) return;
    if (warmer_process_ == ::getpid())
        warmer_.join();
    else
        warmer_.detach();
}

void Pipelines::stop_warming() {
    stop_ = true;
    finish_warming();
}

Result<VkShaderModule> Pipelines::module_of(Shader shader) {
    const Context& c = *context_;
    const ShaderRow& row = row_of(shader);
    const std::lock_guard guard(lock_);
    VkShaderModule& module = modules_[shader];
    if (module) return module;
    VkShaderModuleCreateInfo info{VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO};
    info.codeSize = row.words.size_bytes();
    info.pCode = row.words.data();
    if (const VkResult r = c.vk().vkCreateShaderModule(c.device(), &info, nullptr, &module); r != VK_SUCCESS)
        return failure(concat("the driver refuses the shader ", row.name), r);
    return module;
}

Result<VkPipeline> Pipelines::make(const PipelineKey& key) {
    const Context& c = *context_;
    const ShaderRow& row = row_of(key.shader);
    if (const uint32_t missing = row.needs & ~c.facts().needs())
        return Error{Errc::device_unavailable, concat(c.facts().name, " lacks what the shader ", row.name, " needs (", missing, ")")};
    LAP_ASSIGN(const VkShaderModule module, module_of(key.shader));
    std::vector<VkSpecializationMapEntry> entries;
    for (uint32_t i = 0; i < key.constants.size(); ++i) entries.push_back({i, i * 4, 4});
    VkSpecializationInfo constants{static_cast<uint32_t>(entries.size()), entries.data(), key.constants.size() * 4,
                                   key.constants.data()};
    VkPipelineShaderStageRequiredSubgroupSizeCreateInfo size{
        VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_REQUIRED_SUBGROUP_SIZE_CREATE_INFO};
    size.requiredSubgroupSize = key.subgroup;
    VkComputePipelineCreateInfo info{VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO};
    info.stage.sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO;
    info.stage.pNext = key.subgroup > 0 ? &size : nullptr;
    info.stage.stage = VK_SHADER_STAGE_COMPUTE_BIT;
    info.stage.module = module;
    info.stage.pName = "main";
    info.stage.pSpecializationInfo = &constants;
    info.layout = layout_;
    if (c.explains())
        info.flags = VK_PIPELINE_CREATE_CAPTURE_STATISTICS_BIT_KHR | VK_PIPELINE_CREATE_CAPTURE_INTERNAL_REPRESENTATIONS_BIT_KHR;
    VkPipeline pipeline = VK_NULL_HANDLE;
    if (const VkResult r = c.vk().vkCreateComputePipelines(c.device(), cache_, 1, &info, nullptr, &pipeline); r != VK_SUCCESS)
        return failure(concat("the driver compiles no pipeline of the shader ", row.name), r);
    c.name_object(VK_OBJECT_TYPE_PIPELINE, reinterpret_cast<uint64_t>(pipeline), std::string(row.name));
    return pipeline;
}

std::filesystem::path Pipelines::keys_file() const {
    std::filesystem::path file = file_;
    return file += ".keys";
}

// A line for each key, behind one with the hash of all: what is damaged may be a number that crashes a driver.
Result<void> Pipelines::save_keys() const {
    std::string lines;
    {
        const std::lock_guard guard(lock_);
        if (asked_.empty()) return {};
        for (const PipelineKey& key : asked_) {
            lines += concat(static_cast<uint32_t>(key.shader), " ", key.subgroup);
            for (const uint32_t constant : key.constants) lines += concat(" ", constant);
            lines += '\n';
        }
    }
    const std::string text = concat(XXH3_64bits(lines.data(), lines.size()), "\n", lines);
    LAP_ASSIGN(OutputFile out, OutputFile::create(keys_file()));
    LAP_TRY(out.write(text.data(), text.size()));
    return out.commit();
}

// Numbers of shaders are those of this build: the cache file's name has the hash of all.
std::vector<PipelineKey> Pipelines::read_keys() const {
    if (file_.empty()) return {};
    std::ifstream in(keys_file(), std::ios::binary);
    std::string hash, line;
    std::getline(in, hash);
    const std::string lines{std::istreambuf_iterator<char>(in), {}};
    if (lines.empty() || hash != concat(XXH3_64bits(lines.data(), lines.size()))) return {};
    std::vector<PipelineKey> keys;
    for (std::istringstream all(lines); std::getline(all, line);) {
        std::istringstream words(line);
        uint32_t shader = 0, constant = 0;
        PipelineKey key{};
        if (!(words >> shader >> key.subgroup) || shader >= shader_rows().size()) continue;
        key.shader = static_cast<Shader>(shader);
        while (words >> constant) key.constants.push_back(constant);
        keys.push_back(std::move(key));
    }
    return keys;
}

Result<void> Pipelines::save() {
    stop_warming();
    if (file_.empty()) return {};
    LAP_TRY(save_keys());
    const Context& c = *context_;
    size_t bytes = 0;
    VkResult r = c.vk().vkGetPipelineCacheData(c.device(), cache_, &bytes, nullptr);
    std::vector<char> data(bytes);
    if (r == VK_SUCCESS) r = c.vk().vkGetPipelineCacheData(c.device(), cache_, &bytes, data.data());
    if (r != VK_SUCCESS) return failure("the driver gives no pipeline cache", r);
    LAP_ASSIGN(OutputFile out, OutputFile::create(file_));
    FileHeader header;
    header.bytes = bytes;
    header.hash = XXH3_64bits(data.data(), bytes);
    LAP_TRY(out.write(&header, sizeof header));
    LAP_TRY(out.write(data.data(), bytes));
    return out.commit();
}

}  // namespace lapidary::runtime::vulkan
