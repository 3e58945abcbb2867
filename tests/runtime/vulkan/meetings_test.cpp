// Steps that meet the CPU midway: who waits for whom, in one submit and in many, and that nobody waits for ever.
#include "runtime/vulkan/meetings.h"

#include <doctest/doctest.h>

#include <chrono>
#include <cmath>
#include <random>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

#include "kernels/select.h"
#include "runtime/cpu/cpu_device.h"
#include "runtime/memory/host_access.h"
#include "runtime/memory/host_buffer.h"
#include "runtime/split_device.h"
#include "runtime/trace/recorder.h"
#include "tests/support/vulkan_chain.h"

using namespace lapidary;
namespace {

using namespace runtime;
using runtime::vulkan::VulkanOptions;
using test::VulkanFaults;
using test::make_device;

constexpr double kTiny = 1e-9;  // seconds: every operation is a piece
constexpr int64_t kRows = 64, kCols = 4096;
constexpr int kMeetings = 5;

// x = what the host gives; and then, at each meeting, the CPU makes y = 3 x while the GPU makes z = z + z, and the GPU x = x + y:
// at the end x is 4^meetings times what was given.
class Meeter {
  public:
    explicit Meeter(Device& device) : device_(device) {
        for (Buffer* b : {&x_, &y_, &z_}) {
            auto made = device.allocate(kRows * kCols * sizeof(float), MemoryKind::shared);
            REQUIRE(made);
            *b = *made;
        }
        REQUIRE(device.fill(y_, 0x7FC00000));  // NaN
    }

    std::function<void(int meeting)> before = [](int) {};  // the CPU computes

    Result<void> run(float given, const StepWatch& watch = {}) {
        StepKey key{.shape = {.kind = StepKind::rows, .columns = kRows, .row_width = kCols, .widest = kCols}, .workspace = identity_};
        const auto recording = device_.begin(key, watch);
        if (!recording) return recording.error();
        std::fill_n(recording->inputs.rows(), kRows * kCols, given);
        if (!recording->replays) {
            note();
            device_.end();
        }
        return device_.wait(device_.submit());
    }
    bool right(float given) {
        const auto* values = reinterpret_cast<const float*>(device_.read(of(x_)));
        return values && std::all_of(values, values + kRows * kCols, [&](float v) { return v == given * (1 << 2 * kMeetings); });
    }

  private:
    static TensorView of(const Buffer& b) { return view(b, Format::f32, kRows, kCols); }
    void note() {
        device_.input_rows(Device::Rows::all, of(x_), 0);
        for (int i = 0; i < kMeetings; ++i) {
            device_.layer("layer", i);
            device_.give({[this, i] {
                before(i);
                for (int64_t n = 0; n < kRows * kCols; ++n) host_floats(of(y_))[n] = 3 * host_floats(of(x_))[n];
            }, of(x_), {of(y_)}});
            device_.add(of(z_), of(z_));
            device_.take();
            device_.add(of(x_), of(y_));
        }
    }

    Device& device_;
    Buffer x_, y_, z_;
    uint64_t identity_ = new_identity();
};

TEST_CASE("meetings: a step with some is one recording and a submit for each, and gives the same whenever it is replayed") {
    VulkanFaults faults;
    const auto device = make_device(faults, {});
    REQUIRE(device->meets());
    Meeter meeter(*device);
    for (const float given : {1.0f, 2.0f, -3.0f}) {
        REQUIRE(meeter.run(given));
        CHECK(meeter.right(given));
    }
    CHECK(device->counts().recordings == 1);
    CHECK(device->counts().replays == 2);
    CHECK(device->counts().submits == 3 * (1 + kMeetings));
}

TEST_CASE("meetings: in a step of many submits") {
    VulkanFaults faults;
    const auto device = make_device(faults, {.piece_seconds = kTiny});
    Meeter meeter(*device);
    for (const float given : {1.0f, 2.0f}) {
        REQUIRE(meeter.run(given));
        CHECK(meeter.right(given));
    }
    CHECK(device->counts().submits == 2 * (1 + 4 * kMeetings));
}

TEST_CASE("meetings: a device with memory of its own has none") {
    VulkanFaults faults(VulkanFaults::Memory::card);
    CHECK_FALSE(make_device(faults, {})->meets());
}

// Of rows a multiple of 256 a whole product would leave an int8 image; a share's is not that of the results.
TEST_CASE("meetings: what is behind a gated product that is shared reads the rows of both") {
    constexpr int64_t kWidth = 256, kFfn = 512;
    const auto feed = [&](Device& device) {
        std::mt19937 random(3);
        const auto matrix = [&](int64_t rows, int64_t cols) {
            const auto host = *allocate_host(static_cast<size_t>(rows * kernels::row_bytes(Format::q4_0, cols)));
            for (size_t i = 0; i < host->bytes; ++i) host_bytes(*host)[i] = static_cast<std::byte>(i % 18 == 0 ? 0 : i % 18 == 1 ? 0x20 : random());
            return *device.place(view(host, Format::q4_0, rows, cols), Use::matrix, {});
        };
        const Placed gate = matrix(kFfn, kWidth), up = matrix(kFfn, kWidth), down = matrix(kWidth, kFfn);
        const auto row = [&](int64_t cols) { return *device.allocate(static_cast<size_t>(cols) * sizeof(float), MemoryKind::shared); };
        const Buffer in = row(kWidth), scratch = row(kFfn), middle = row(kFfn), out = row(kWidth);
        const auto of = [](const Buffer& b) { return view(b, Format::f32, 1, static_cast<int64_t>(b->bytes / sizeof(float))); };
        const StepKey key{.shape = {.kind = StepKind::rows, .columns = 1, .row_width = kWidth, .widest = kFfn},
                          .weights = new_identity(), .workspace = new_identity()};
        const auto recording = device.begin(key, {});
        REQUIRE(recording);
        for (int64_t i = 0; i < kWidth; ++i) recording->inputs.rows()[i] = static_cast<float>(random() % 1000) / 500.0f - 1;
        device.input_rows(Device::Rows::all, of(in), 0);
        device.gated_matmul(gate.view, up.view, of(in), of(scratch), of(middle), {});
        const MatmulPart part{.weights = down.view, .out = of(out)};
        device.matmul({&part, 1}, of(middle));
        device.end();
        REQUIRE(device.wait(device.submit()));
        const auto* values = reinterpret_cast<const float*>(device.read(of(out)));
        REQUIRE(values);
        return std::vector<float>(values, values + kWidth);
    };
    const auto cpu = [] { return std::make_unique<CpuDevice>(*kernels::select("ref", nullptr), 1, false); };
    VulkanFaults faults;
    auto gpu = make_device(faults, {.shared_weights = true});
    REQUIRE(gpu->meets());
    if (!gpu->products().leaves_images()) {
        MESSAGE("not run: nothing leaves images here");
        return;
    }
    SplitDevice both(std::move(gpu), cpu(), [](int64_t rows, int64_t, int64_t) { return rows / 2; });
    const auto got = feed(both), wanted = feed(*cpu());
    double largest = 0, off = 0;
    for (size_t i = 0; i < got.size(); ++i) {
        largest = std::max(largest, std::fabs(double{wanted[i]}));
        off = std::max(off, std::fabs(double{got[i]} - wanted[i]));
    }
    // A few quotients of the int8 rows lie at a half and go either way; what reads another image is off by all of itself.
    CHECK(off <= largest / 20);
}

TEST_CASE("meetings: an answer that fails is given once more, and the step ends") {
    VulkanFaults faults;
    const auto device = make_device(faults, {});
    Meeter meeter(*device);
    static PFN_vkSignalSemaphore real = nullptr;
    static bool fails = false;
    real = faults.context->vk().vkSignalSemaphore;
    faults.context->vk_for_tests().vkSignalSemaphore = [](VkDevice d, const VkSemaphoreSignalInfo* info) {
        return std::exchange(fails, false) ? VK_ERROR_OUT_OF_HOST_MEMORY : real(d, info);
    };
    for (const bool recorded : {false, true}) {
        CAPTURE(recorded);
        fails = true;
        CHECK(meeter.run(1.0f).error().code == Errc::out_of_memory);
        REQUIRE(meeter.run(2.0f));
        CHECK(meeter.right(2.0f));
    }
}

// As if nothing that is submitted waited for anybody.
PFN_vkQueueSubmit real_submit = nullptr;
VkResult without_wait(VkQueue queue, uint32_t count, const VkSubmitInfo* infos, VkFence fence) {
    std::vector<VkSubmitInfo> own(infos, infos + count);
    std::vector<VkTimelineSemaphoreSubmitInfo> values(count);
    for (uint32_t i = 0; i < count; ++i) {
        values[i] = *static_cast<const VkTimelineSemaphoreSubmitInfo*>(own[i].pNext);
        values[i].waitSemaphoreValueCount = own[i].waitSemaphoreCount = 0;
        own[i].pNext = &values[i];
    }
    return real_submit(queue, count, own.data(), fence);
}
void never_wait(VulkanFaults& faults) {
    real_submit = faults.context->vk().vkQueueSubmit;
    faults.context->vk_for_tests().vkQueueSubmit = without_wait;
}
void without_set(VkCommandBuffer, VkEvent, VkPipelineStageFlags) {}
VkResult always_set(VkDevice, VkEvent) { return VK_EVENT_SET; }

TEST_CASE("meetings: without the GPU's wait, or without the CPU's, the results are wrong") {
    {
        VulkanFaults faults;
        never_wait(faults);
        const auto device = make_device(faults, {});
        Meeter meeter(*device);
        meeter.before = [](int) { std::this_thread::sleep_for(std::chrono::milliseconds(20)); };
        REQUIRE(meeter.run(1));
        CHECK_FALSE(meeter.right(1));
    }
    VulkanFaults faults;
    faults.context->vk_for_tests().vkGetEventStatus = always_set;
    const auto device = make_device(faults, {});
    Meeter meeter(*device);
    REQUIRE(meeter.run(1));
    CHECK_FALSE(meeter.right(1));
}

TEST_CASE("meetings: a GPU that ends without having come there is lost") {
    VulkanFaults faults;
    faults.context->vk_for_tests().vkCmdSetEvent = without_set;
    never_wait(faults);
    const auto device = make_device(faults, {});
    const auto done = Meeter(*device).run(1);
    REQUIRE_FALSE(done);
    CHECK(done.error().code == Errc::device_lost);
}

// What fails at the n-th call, as on a lost device, and only once.
int calls_left = 0;
PFN_vkGetEventStatus real_status = nullptr;
VkResult lost_at_last(VkDevice device, VkEvent event) {
    const VkResult r = real_status(device, event);
    return r == VK_EVENT_SET && --calls_left == 0 ? VK_ERROR_DEVICE_LOST : r;
}

TEST_CASE("meetings: the device is lost at any of them, and what is on the queue ends") {
    for (const double piece : {0.1, kTiny})
        for (int n = 1; n <= kMeetings; ++n) {
            CAPTURE(n);
            VulkanFaults faults;
            real_status = faults.context->vk().vkGetEventStatus;
            faults.context->vk_for_tests().vkGetEventStatus = lost_at_last;
            const auto device = make_device(faults, {.piece_seconds = piece});
            Meeter meeter(*device);
            calls_left = n;
            const auto done = meeter.run(1);
            REQUIRE_FALSE(done);
            CHECK(done.error().code == Errc::device_lost);
        }
}

TEST_CASE("meetings: a submit that fails in the midst leaves nobody waiting") {
    for (int64_t at = 1; at <= 1 + 4 * kMeetings; ++at) {
        CAPTURE(at);
        VulkanFaults faults;
        const auto device = make_device(faults, {.piece_seconds = kTiny});
        Meeter meeter(*device);
        faults.submit.once(at, VK_ERROR_OUT_OF_HOST_MEMORY);
        CHECK_FALSE(meeter.run(1));
        faults.submit.never();
        REQUIRE(meeter.run(2));
        CHECK(meeter.right(2));
    }
}

TEST_CASE("meetings: a step that is stopped, and one whose help throws, end, and the next one is right") {
    for (const double piece : {0.1, kTiny}) {
        VulkanFaults faults;
        const auto device = make_device(faults, {.piece_seconds = piece});
        Meeter meeter(*device);
        for (int at = 0; at < kMeetings; ++at) {
            CAPTURE(at);
            const auto stopped = meeter.run(1, [at](int32_t layer) { return layer != at; });
            REQUIRE_FALSE(stopped);
            CHECK(stopped.error().code == Errc::cancelled);
            meeter.before = [at](int meeting) {
                if (meeting == at) throw std::runtime_error("no more");
            };
            CHECK_THROWS_AS((void)meeter.run(1), std::runtime_error);
            meeter.before = [](int) {};
            REQUIRE(meeter.run(3));
            CHECK(meeter.right(3));
        }
    }
}

TEST_CASE("meetings: both waits are events of a trace") {
    VulkanFaults faults;
    const auto device = make_device(faults, {});
    Recorder recorder(1000);
    device->observe(&recorder);
    Meeter meeter(*device);
    REQUIRE(meeter.run(1));
    for (const char* wanted : {"wait for the GPU", "wait for the CPU"}) {
        uint64_t count = 0;
        for (const OpTotals& t : recorder.totals()) count += t.op == wanted ? t.count : 0;
        CHECK(count == kMeetings);
    }
    device->observe(nullptr);
}

}  // namespace
