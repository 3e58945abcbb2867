// How steps are recorded, cut, replayed, stopped and lost; what they compute is in vulkan_operations_test.cpp.
#include "runtime/vulkan/vulkan_device.h"

#include <doctest/doctest.h>

#include <functional>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "runtime/trace/recorder.h"
#include "tests/support/vulkan_chain.h"

using namespace lapidary;
namespace {

using namespace runtime;
using runtime::vulkan::VulkanOptions;
using test::VulkanChain;
using test::VulkanFaults;
using test::make_device;

constexpr double kTiny = 1e-9;  // seconds: every operation is a piece

TEST_CASE("device: a step is recorded once, and replayed with other inputs") {
    for (const auto memory : {VulkanFaults::Memory::same, VulkanFaults::Memory::card}) {
        VulkanFaults faults(memory);
        const auto device = make_device(faults);
        VulkanChain chain = VulkanChain::make(*device);
        for (const unsigned seed : {1u, 2u, 3u}) {
            const auto replayed = chain.run(7, seed);
            REQUIRE_MESSAGE(replayed, replayed.error().message);
            CHECK(*replayed == (seed > 1));
            chain.check(seed);
        }
        CHECK(device->counts().recordings == 1);
        CHECK(device->counts().replays == 2);
        CHECK(device->counts().submits == 3);
        CHECK(device->counts().dispatches == 3 * VulkanChain::kDispatches);
        CHECK(device->counts().barriers == 3 * VulkanChain::kBarriers);
        CHECK_FALSE(*chain.run(8, 4));  // of another identity
        chain.check(4);
    }
}

TEST_CASE("device: a step in many submits, and one with a barrier behind everything, give the same bits") {
    std::set<std::vector<float>> results;
    for (const auto memory : {VulkanFaults::Memory::same, VulkanFaults::Memory::card})
        for (const VulkanOptions& options : {VulkanOptions{}, VulkanOptions{.piece_seconds = kTiny}, VulkanOptions{.barrier_everywhere = true},
                                             VulkanOptions{.barrier_everywhere = true, .piece_seconds = kTiny}}) {
            VulkanFaults faults(memory);
            const auto device = make_device(faults, options);
            VulkanChain chain = VulkanChain::make(*device);
            for (int i = 0; i < 2; ++i) {
                REQUIRE(chain.run(1, 1));
                results.insert(chain.read().value());
            }
            chain.check(1);
            CHECK(device->counts().submits == (options.piece_seconds == kTiny ? 2 * VulkanChain::kDispatches : 2));
            CHECK(device->counts().barriers ==
                  2 * (options.barrier_everywhere ? VulkanChain::kDispatches : VulkanChain::kBarriers));
        }
    CHECK(results.size() == 1);
}

TEST_CASE("device: whichever barrier is left out, the recorder finds it") {
    VulkanFaults faults;
    for (int32_t omitted = 0; omitted <= VulkanChain::kBarriers; ++omitted) {
        CAPTURE(omitted);
        const auto device = make_device(faults, {.omit_barrier = omitted, .find_hazards = true});
        VulkanChain chain = VulkanChain::make(*device);
        const auto done = chain.run(1, 1);
        if (omitted == VulkanChain::kBarriers) {  // none was
            CHECK(done);
            continue;
        }
        REQUIRE_FALSE(done);
        CHECK(done.error().code == Errc::internal);
        CHECK(done.error().message.find("without a barrier between them") != std::string::npos);
        CHECK(device->counts().submits == 0);
    }
}

TEST_CASE("device: a watch sees every layer in order, and stops a step between pieces") {
    VulkanFaults faults;
    const auto device = make_device(faults, {.piece_seconds = kTiny});
    VulkanChain chain = VulkanChain::make(*device);
    for (const uint64_t id : {1, 2}) {  // while it is recorded, and when it is replayed
        if (id == 2) REQUIRE(chain.run(id, 5));
        std::vector<int32_t> seen;
        const int64_t before = device->counts().submits;
        const auto stopped = chain.run(id, 6, [&](int32_t layer) {
            seen.push_back(layer);
            return layer < 1;
        });
        REQUIRE_FALSE(stopped);
        CHECK(stopped.error().code == Errc::cancelled);
        CHECK(seen == std::vector<int32_t>{0, 1});
        CHECK(device->counts().submits - before == 5);  // the rows, and one layer
        seen.clear();
        const auto whole = chain.run(id, 7, [&](int32_t layer) {
            seen.push_back(layer);
            return true;
        });
        REQUIRE(whole);
        CHECK(*whole == (id == 2));  // what was not recorded whole is recorded again
        CHECK(seen == std::vector<int32_t>{0, 1, 2});
        chain.check(7);
    }
}

TEST_CASE("device: a watch that throws leaves no piece running, and the next step works") {
    VulkanFaults faults;
    const auto device = make_device(faults, {.piece_seconds = kTiny});
    VulkanChain chain = VulkanChain::make(*device);
    for (const uint64_t id : {1, 2}) {
        if (id == 2) REQUIRE(chain.run(id, 5));
        CHECK_THROWS_AS((void)chain.run(id, 6, [](int32_t layer) { return layer < 2 ? true : throw std::runtime_error("sink"); }),
                        std::runtime_error);
        REQUIRE(chain.run(id, 7));
        chain.check(7);
    }
}

TEST_CASE("device: a step given up at any moment is as if it had not been") {
    VulkanFaults faults;
    const auto device = make_device(faults);
    VulkanChain chain = VulkanChain::make(*device);
    REQUIRE(chain.run(1, 1));
    REQUIRE(device->begin(chain.key(2), {}));
    device->abort();
    REQUIRE(device->begin(chain.key(2), {}));
    chain.note();
    device->abort();
    CHECK_FALSE(*chain.begin(chain.key(2), 3));
    device->abort();
    CHECK(*chain.begin(chain.key(1), 4));  // a replay
    device->abort();
    CHECK_FALSE(*chain.run(2, 5));
    chain.check(5);
    CHECK(*chain.run(1, 6));
    chain.check(6);
    CHECK(device->counts().recordings == 2);
}

TEST_CASE("device: scratch that grows takes the recordings that name it along") {
    for (const auto memory : {VulkanFaults::Memory::same, VulkanFaults::Memory::card}) {
        VulkanFaults faults(memory);
        const auto device = make_device(faults);
        VulkanChain chain = VulkanChain::make(*device);
        REQUIRE(chain.run(1, 1));
        const auto wide = chain.begin(chain.key(2, 2000), 2);  // its inputs are longer than those that fit
        REQUIRE(wide);
        REQUIRE(device->wait(device->submit()));
        chain.check(2);
        CHECK_FALSE(*chain.run(1, 3));
        chain.check(3);
        CHECK(*chain.run(1, 4));
        chain.check(4);
        CHECK(*chain.begin(chain.key(2, 2000), 5));
        REQUIRE(device->wait(device->submit()));
        chain.check(5);
    }
}

TEST_CASE("device: scratch that grows within a step stays for the operations in front") {
    VulkanFaults faults;
    const auto device = make_device(faults);
    constexpr int64_t kVocab = 20000;
    const auto scores = device->allocate(4 * kVocab * 4, MemoryKind::state);
    const auto few = device->allocate(2 * 8, MemoryKind::readback), many = device->allocate(4 * 1024 * 8, MemoryKind::readback);
    REQUIRE(scores);
    REQUIRE(few);
    REQUIRE(many);
    const StepKey key{.shape = {.kind = StepKind::rows, .columns = 4, .row_width = kVocab, .widest = 64}, .weights = 1};
    for (int run = 0; run < 2; ++run) {
        const auto recording = device->begin(key, {});
        REQUIRE(recording);
        CHECK(recording->replays == (run == 1));
        for (int32_t i = 0; i < 4 * kVocab; ++i) recording->inputs.rows()[i] = static_cast<float>(i * 7919 % kVocab);
        const TensorView rows = view(*scores, Format::f32, 4, kVocab);
        const int64_t standing = faults.allocations;
        if (!recording->replays) {
            device->input_rows(Device::Rows::all, rows, 0);
            device->top_k(rows.row_range(0, 1), 2, view(*few, Format::f32, 1, 4));
            device->top_k(rows, 1024, view(*many, Format::f32, 4, 2048));
            CHECK(faults.allocations == standing + 2);  // one for each
            device->end();
        }
        REQUIRE(device->wait(device->submit()));
        const auto* best = reinterpret_cast<const Candidate*>(device->read(view(*few, Format::f32, 1, 4)));
        const auto* all = reinterpret_cast<const Candidate*>(device->read(view(*many, Format::f32, 4, 2048)));
        REQUIRE(best);
        REQUIRE(all);
        for (int i = 0; i < 2; ++i) CHECK(best[i].score == static_cast<float>(kVocab - 1 - i));
        for (int row = 0; row < 4; ++row)
            for (int i = 0; i < 1024; ++i) CHECK(all[row * 1024 + i].score == static_cast<float>(kVocab - 1 - i));
    }
}

TEST_CASE("device: the oldest of many recordings goes") {
    VulkanFaults faults;
    const auto device = make_device(faults);
    VulkanChain chain = VulkanChain::make(*device);
    for (uint64_t id = 1; id <= 65; ++id) CHECK_FALSE(*chain.run(id, 1));
    CHECK(*chain.run(2, 2));
    chain.check(2);
    CHECK_FALSE(*chain.run(1, 3));
    chain.check(3);
    CHECK_FALSE(*chain.run(2, 4));
    CHECK(*chain.run(65, 5));
    chain.check(5);
}

TEST_CASE("device: an observer gets every operation with its layer, and costs a recording of its own") {
    VulkanFaults faults;
    const auto device = make_device(faults, {.piece_seconds = kTiny});
    VulkanChain chain = VulkanChain::make(*device);
    REQUIRE(chain.run(1, 1));
    Recorder recorder(100);
    recorder.enable(true);
    device->observe(&recorder);
    CHECK_FALSE(*chain.run(1, 2));
    CHECK(*chain.run(1, 3));
    chain.check(3);
    uint64_t count = 0;
    for (const OpTotals& t : recorder.totals()) {
        CHECK(t.seconds >= 0);
        if (t.op == "add") CHECK(t.count == 2 * 2 * VulkanChain::kLayers);
        count += t.count;
    }
    CHECK(count == 2 * VulkanChain::kDispatches);
    device->observe(nullptr);
    CHECK_FALSE(*chain.run(1, 4));
}

// What capture tools are told, "|layer 0 test(add())", with a | where another command buffer begins. Whatever comes goes on to the loader and the layers.
class LabelLog {
  public:
    LabelLog() {
        begin_ = std::exchange(vkCmdBeginDebugUtilsLabelEXT, begin);
        end_ = std::exchange(vkCmdEndDebugUtilsLabelEXT, end);
        log_.clear();
        last_ = VK_NULL_HANDLE;
    }
    ~LabelLog() {
        vkCmdBeginDebugUtilsLabelEXT = begin_;
        vkCmdEndDebugUtilsLabelEXT = end_;
    }
    LabelLog(const LabelLog&) = delete;
    LabelLog& operator=(const LabelLog&) = delete;
    const std::string& text() const { return log_; }

  private:
    static std::string& log_of(VkCommandBuffer commands) {
        if (std::exchange(last_, commands) != commands) log_ += "|";
        return log_;
    }
    static VKAPI_ATTR void VKAPI_CALL begin(VkCommandBuffer commands, const VkDebugUtilsLabelEXT* label) {
        log_of(commands).append(label->pLabelName).append("(");
        begin_(commands, label);
    }
    static VKAPI_ATTR void VKAPI_CALL end(VkCommandBuffer commands) {
        log_of(commands).append(")");
        end_(commands);
    }

    inline static PFN_vkCmdBeginDebugUtilsLabelEXT begin_ = nullptr;
    inline static PFN_vkCmdEndDebugUtilsLabelEXT end_ = nullptr;
    inline static std::string log_;
    inline static VkCommandBuffer last_ = VK_NULL_HANDLE;
};

TEST_CASE("device: every piece names its layers and operations, and closes what it opened") {
    VulkanFaults faults;
    REQUIRE(faults.context->has_labels());
    const std::string layer = "(rms_norm()rms_norm()add()add())";
    const std::string whole = "|input(input_rows())layer 0 test" + layer + "layer 1 test" + layer + "layer 2 test" + layer +
                              "output(rms_norm())";
    std::string single = "|input(input_rows())";
    for (const char* test : {"|layer 0 test", "|layer 1 test", "|layer 2 test"})
        for (const char* operation : {"(rms_norm())", "(rms_norm())", "(add())", "(add())"}) single.append(test).append(operation);
    single += "|output(rms_norm())";
    for (const bool cut : {false, true}) {
        const LabelLog log;
        const auto device = make_device(faults, {.piece_seconds = cut ? kTiny : 1.0});
        VulkanChain chain = VulkanChain::make(*device);
        for (const unsigned seed : {1u, 2u}) REQUIRE(chain.run(1, seed));  // a replay records nothing
        CHECK(log.text() == (cut ? single : whole));
    }
}

// Keys and values of width 16 in f32: rows of the cache are the rows of the step, normed, and may be read back.
TEST_CASE("device: a cache that grows between replays gets the rows of the next ones") {
    for (const auto memory : {VulkanFaults::Memory::same, VulkanFaults::Memory::card}) {
        VulkanFaults faults(memory);
        const auto device = make_device(faults);
        const auto segment = [&] {
            auto buffer = device->allocate(4 * 2 * 64, MemoryKind::readback);
            REQUIRE(buffer);
            return KvSegment{*buffer, 4};
        };
        // GPU-assisted validation knows only the buffers that were there when a step was recorded.
        const KvSegment second = segment();
        KvTable table{1, {segment()}};
        KvView kv{.table = &table, .kv_class = KvClass::linear, .format = KvFormat::f32, .kv_heads = 1, .dim = 16, .row = {64, 64, 0, 0}};
        auto source = allocate_host(64);
        REQUIRE(source);
        for (int i = 0; i < 16; ++i) reinterpret_cast<float*>(host_bytes(**source))[i] = 1.0f + static_cast<float>(i);
        const auto rows = device->place(view(*source, Format::f32, 1, 16), Use::values, {});
        REQUIRE(rows);
        const StepKey key{.shape = {.kind = StepKind::tokens, .columns = 1, .pairs = {8, 8}, .widest = 16, .head_dim = 16}, .cache = 1};
        for (int32_t position = 0; position < 6; ++position) {
            if (position == 4) table.segments.push_back(second);
            const auto recording = device->begin(key, {});
            REQUIRE(recording);
            CHECK(recording->replays == (position > 0));
            const StepInputs& in = recording->inputs;
            in.position() = position;
            in.kv(KvClass::linear).store_count = 1;
            in.kv(KvClass::linear).stores[0] = {position / 4, position % 4, position, 1};
            for (int i = 0; i < 8; ++i) {
                in.cosine(KvClass::linear)[i] = 1.0f;
                in.sine(KvClass::linear)[i] = 0.0f;
            }
            if (!recording->replays) {
                device->norm_rope_store(rows->view, rows->view, rows->view, 1e-6f, kv);
                device->end();
            }
            REQUIRE(device->wait(device->submit()));
        }
        for (int32_t position = 0; position < 8; ++position) {
            const auto at = kv.offsets(position / 4, 0, position % 4);
            const auto* v = reinterpret_cast<const float*>(
                device->read(view(table.segments[static_cast<size_t>(position / 4)].buffer, Format::f32, 1, 16, static_cast<size_t>(at.v))));
            REQUIRE(v);
            const float scale = 1 / std::sqrt(93.5f);  // the mean of 1, 4, ... 256
            for (int i = 0; i < 16; ++i)
                CHECK(v[i] == doctest::Approx(position < 6 ? (1.0f + static_cast<float>(i)) * scale : 0.0f));
        }
    }
}

// Reads of a card are copies, and all of them stay until the next step.
TEST_CASE("device: what was read stays while more is read") {
    VulkanFaults faults(VulkanFaults::Memory::card);
    const auto device = make_device(faults);
    std::vector<Buffer> buffers;
    std::vector<const std::byte*> bytes;
    for (uint32_t i = 0; i < 3; ++i) {
        auto buffer = device->allocate(1024 << i, MemoryKind::readback);
        REQUIRE(buffer);
        REQUIRE(device->fill(*buffer, 100 + i));
        buffers.push_back(*buffer);
        bytes.push_back(device->read(view(*buffer, Format::f32, 1, 256 << i)));
        REQUIRE(bytes.back() != nullptr);
    }
    for (uint32_t i = 0; i < 3; ++i) {
        uint32_t word = 0;
        std::memcpy(&word, bytes[i] + (1024 << i) - 4, 4);
        CHECK(word == 100 + i);
    }
}

// The layers tell when two threads use one queue or one pool.
TEST_CASE("device: other threads allocate while steps run") {
    VulkanFaults faults(VulkanFaults::Memory::card);
    const auto device = make_device(faults, {.piece_seconds = kTiny});
    VulkanChain chain = VulkanChain::make(*device);
    std::atomic<int> failed = 0;
    std::vector<std::thread> threads;
    for (int t = 0; t < 2; ++t)
        threads.emplace_back([&] {
            for (int i = 0; i < 20; ++i)
                if (!device->allocate(1 << 16, MemoryKind::state)) ++failed;
        });
    for (unsigned seed = 1; seed <= 10; ++seed) {
        CHECK(chain.run(1, seed));
        chain.check(seed);
    }
    for (auto& t : threads) t.join();
    CHECK(failed == 0);
}

// Once it is lost, everything says so, and nothing but a new device helps.
void check_lost(vulkan::VulkanDevice& device, VulkanChain& chain, const Result<bool>& done) {
    REQUIRE_FALSE(done);
    CHECK(done.error().code == Errc::device_lost);
    CHECK(done.error().message.find(device.context().facts().name) != std::string::npos);
    CHECK(!done.error().hint.empty());
    CHECK_FALSE(chain.read());
    for (const uint64_t id : {1, 9}) {
        const auto again = chain.run(id, 2);
        REQUIRE_FALSE(again);
        CHECK(again.error().code == Errc::device_lost);
    }
    CHECK_FALSE(device.read({}));
}

// A step of a new device, recorded or replayed, that is lost at this submit or wait; 0: never, and how many there are.
int64_t lose(VulkanFaults::Memory memory, bool replay, bool at_submit, int64_t n) {
    CAPTURE(n);
    VulkanFaults faults(memory);
    const auto device = make_device(faults, {.piece_seconds = kTiny});
    VulkanChain chain = VulkanChain::make(*device);
    if (replay) REQUIRE(chain.run(1, 1));
    test::VulkanFault& fault = at_submit ? faults.submit : faults.wait;
    n > 0 ? fault.from(n, VK_ERROR_DEVICE_LOST) : fault.never();
    const auto done = chain.run(1, 1);
    if (n == 0) {
        CHECK(done);
        return fault.calls;
    }
    faults.submit.from(1, VK_ERROR_DEVICE_LOST);
    faults.wait.from(1, VK_ERROR_DEVICE_LOST);
    check_lost(*device, chain, done);
    return n;
}

TEST_CASE("device: lost at any submit or wait, while recording and in a replay") {
    for (const auto memory : {VulkanFaults::Memory::same, VulkanFaults::Memory::card})
        for (const bool replay : {false, true})
            for (const bool at_submit : {true, false}) {
                const int64_t calls = lose(memory, replay, at_submit, 0);
                CHECK(calls >= VulkanChain::kDispatches - 1);  // pieces; they wait for all of them but one
                for (int64_t n = 1; n <= calls; ++n) lose(memory, replay, at_submit, n);
            }
}

TEST_CASE("device: what fails in the last piece waits for those before it, and may be tried again") {
    VulkanFaults faults;
    const auto device = make_device(faults, {.piece_seconds = kTiny});
    VulkanChain chain = VulkanChain::make(*device);
    for (int shader = 0; shader < 4; ++shader) {  // rows, two norms, a sum; those before it are there already, but for the first
        faults.pipelines.once(shader == 0 ? 1 : 2, shader == 0 ? VK_ERROR_OUT_OF_HOST_MEMORY : VK_ERROR_UNKNOWN);
        const auto failed = chain.run(1, 1);
        REQUIRE_FALSE(failed);
        CHECK(failed.error().code == (shader == 0 ? Errc::out_of_memory : Errc::device_unavailable));
        CHECK(failed.error().message.find("the driver compiles no pipeline of the shader") != std::string::npos);
    }
    faults.pipelines.never();
    CHECK_FALSE(*chain.run(1, 2));
    chain.check(2);
}

}  // namespace
