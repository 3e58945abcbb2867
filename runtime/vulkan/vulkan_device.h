// A GPU as a Device: operations are noted as dispatches, recorded once per key, and submitted in pieces of bounded length.
// What a replay changes lies in one block of memory: the step's inputs, and the segments of its caches.
#pragma once

#include <cstdint>
#include <deque>
#include <exception>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "runtime/device.h"
#include "runtime/vulkan/attention.h"
#include "runtime/vulkan/kv.h"
#include "runtime/vulkan/meetings.h"
#include "runtime/vulkan/products.h"
#include "runtime/vulkan/race.h"
#include "runtime/vulkan/step_memory.h"
#include "runtime/vulkan/top_k.h"
#include "runtime/vulkan/transfers.h"
#include "runtime/vulkan/trust.h"
#include "runtime/vulkan/vulkan_weights.h"

namespace lapidary::runtime::vulkan {

// How a device records, beyond what the product asks for: for tests.
struct VulkanOptions {
    bool precise = false;
    bool self_test = true;              // before a shader serves
    std::filesystem::path cache_folder = {};  // of compiled code and verdicts; empty: nothing is kept
    bool barrier_everywhere = false;
    int32_t omit_barrier = -1;
    bool find_hazards = kFindHazards;
    bool shared_weights = false;  // in memory that the CPU device computes with too
    double piece_seconds = 0.1;  // of estimated work in one submit
    bool meetings = true;         // steps meet the CPU midway, in shared memory (ADR 22)
    // Of all races of tunings together; 0: none. Without a number a second and a half, and none on software devices.
    std::optional<double> race_seconds = {};
};

class VulkanDevice final : public Device {
  public:
    static Result<std::unique_ptr<VulkanDevice>> create(std::shared_ptr<Context> context, const VulkanOptions& options);
    ~VulkanDevice() override;

    const Context& context() const { return *context_; }
    const VulkanOptions& options() const { return options_; }
    Pipelines& pipelines() { return *pipelines_; }
    const Products& products() const { return *products_; }
    Verdicts* verdicts() { return trust_ ? &trust_->verdicts() : nullptr; }

    // Of all steps since the device was made.
    struct Counts {
        int64_t recordings = 0, replays = 0, submits = 0, dispatches = 0, barriers = 0;
        double host_seconds = 0;  // recording and submitting
    };
    const Counts& counts() const { return counts_; }

    Result<Buffer> allocate(size_t bytes, MemoryKind kind) override;
    Result<void> copy(const Buffer& from, size_t from_offset, const Buffer& to, size_t to_offset, size_t bytes) override;
    Result<void> download(const Buffer& from, size_t offset, std::span<std::byte> to) override;
    Result<void> upload(std::span<const std::byte> from, const Buffer& to, size_t offset) override;
    Result<void> fill(const Buffer& buffer, uint32_t word) override;
    Result<Placed> place(const TensorView& host, Use use, const ByteSink& progress) override {
        return weights_->place(host, use, progress);
    }
    bool moves(const TensorView&, Use) const override { return true; }
    KernelChoice kernels_of(const TensorView& host, Use use) const override { return weights_->kernels_of(host, use); }
    Result<Recording> begin(const StepKey& key, const StepWatch& watch) override;
    void end() override;
    void abort() override;
    Ticket submit() override;
    Result<void> wait(Ticket ticket) override;
    const std::byte* read(const TensorView& from) override;
    bool meets() const override { return options_.meetings && context_->facts().unified; }
    void give(const Help& help) override;
    void take() override;
    void observe(Recorder* recorder) override;
    MachineProbe& probe() override;
    bool layer(const char* kind, int32_t number) override;

    void embed_rows(const TensorView& table, Entry entry, float scale, const TensorView& out) override;
    void input_rows(Rows which, const TensorView& out, int64_t from) override;
    void rms_norm(const TensorView& x, const TensorView& w, float eps, const TensorView& out) override;
    void layer_norm(const TensorView& x, const TensorView& w, const TensorView& b, float eps,
                    const TensorView& out) override;
    void matmul(std::span<const MatmulPart> parts, const MatmulInput& in) override;
    void gated_matmul(const TensorView& gate, const TensorView& up, const MatmulInput& in, const TensorView& scratch,
                      const TensorView& out, RowRange rows) override;
    void norm_rope(const TensorView& q, const TensorView& weight, float eps, KvClass angles) override;
    void norm_rope_store(const TensorView& k, const TensorView& v, const TensorView& k_weight, float eps,
                         const KvView& kv) override;
    void attention(const TensorView& q, const KvView& kv, const TensorView& out) override;
    void commit_kv(const KvView& kv) override;
    void add_norm(const TensorView& x, const TensorView& y, const TensorView& w, float eps, float scale) override;
    void add(const TensorView& x, const TensorView& y) override;
    void soft_cap(const TensorView& x, float cap) override;
    void top_k(const TensorView& scores, int32_t k, const TensorView& out) override;

  private:
    struct Operation {  // for profiles
        std::string name;
        std::function<OpCost(const StepInputs&)> cost;
        const char* layer_kind = "";
        int32_t layer = -1;
    };
    struct LayerMark {
        size_t dispatch = 0;
        int32_t layer = -1;
    };
    struct HelpMark {
        size_t dispatch = 0;  // the give()
        std::function<void()> run;
        const char* layer_kind = "";
        int32_t layer = -1;
    };
    struct Kept {
        StepKey key;
        std::unique_ptr<RecordedStep> step;
        std::vector<std::shared_ptr<VulkanBuffer>> outgrown;  // scratch that grew while the step was noted, and that it names
        std::vector<LayerMark> layers;
        std::vector<HelpMark> helps;
        struct Submit {
            size_t dispatch_end = 0, piece_end = 0;
        };
        std::vector<Submit> submits;       // pieces that go to the queue together
        std::vector<Operation> operations;
        const KvTable* tables[2] = {};     // by KvClass; null: the step has none
        const KvSegment* scratch = nullptr;
        double seconds = 0;                // estimated
        VkQueryPool timestamps = VK_NULL_HANDLE;
    };
    struct AddNorm {  // of a residual, not yet a dispatch
        TensorView x, y, w;
        float eps, scale;
        const char* layer_kind;
        int32_t layer;
    };
    struct Notes {  // of the step being noted
        StepKey key;
        std::vector<Dispatch> dispatches;
        std::vector<LayerMark> layers;
        std::vector<HelpMark> helps;
        std::vector<Operation> operations;
        const KvTable* tables[2] = {};
        const KvSegment* scratch = nullptr;
        const char* layer_kind = "";
        int32_t layer = -1;
        TensorView image_of;                // whose int8 image is in scratch
        bool in_gated = false;              // in that of gated products
        std::vector<std::shared_ptr<VulkanBuffer>> outgrown;
        std::optional<AddNorm> pending;
    };

    VulkanDevice(std::shared_ptr<Context> context, const VulkanOptions& options, std::shared_ptr<Pipelines> pipelines,
                 std::shared_ptr<Products> products);
    static Result<std::unique_ptr<VulkanDevice>> create(const std::shared_ptr<Context>& context, const VulkanOptions& options,
                                                        const std::shared_ptr<Pipelines>& pipelines,
                                                        const std::shared_ptr<Products>& products);
    Result<void> make_trust();
    // A product as it serves: what its self-test is, and what reads images in those of others.
    Reader at_work(const TensorView& weights, int64_t columns, int64_t rows, bool gated) const;
    bool trust_product(const TensorView& weights, int64_t columns, int64_t rows, bool gated);
    // Whether an int8 image may be left for what reads the results; outcome_ says whether the operation may serve at all.
    bool trust_image(const char* shader, bool image, const std::function<Result<bool>(bool image)>& passes);
    bool trust_attention(const TensorView& q, const KvView& kv);
    bool trust_joined_norm(const MatmulInput& in, const Reader& reader, bool image);
    bool trust_gated_image(const TensorView& gate, const TensorView& up, int64_t columns, RowRange rows);
    bool trust_commit(const KvView& kv);
    bool trust_norms(const RowsCase& c);
    bool trust_rows(const char* what, Trust::RowsTest test, const RowsCase& c);
    bool trusted(const std::string& shader, const Result<bool>& passed);
    Error distrust(const std::string& shader) const;
    Result<void> reserve(const StepShape& shape);
    Result<void> reserve_candidates(uint64_t bytes);
    enum class Content : uint8_t { any, zeros };
    Result<void> grow(std::shared_ptr<VulkanBuffer>& buffer, uint64_t bytes, Memory kind, const char* name, Content content = Content::any);
    bool block_in_sight() const;
    void forget();
    void forget(Kept& kept);
    void drop();
    const Error& noted(const Error& error);  // whether the device is lost
    Kept* find(const StepKey& key);
    void write_segments(const Kept& kept);
    void cut_pieces(Kept& kept, std::vector<Dispatch> dispatches);
    void cut_again(Kept& kept);
    std::vector<OperationLabel> labels_of(const std::vector<Operation>& operations) const;
    std::vector<double> seconds_of(const std::vector<Operation>& operations, std::span<const Dispatch> dispatches) const;
    Result<void> submit_pieces(Kept& kept);
    Result<void> help(const Kept& kept, size_t& helped, size_t end);
    void ask(const std::function<bool()>& go_on);
    void report(const Kept& kept);

    // Appends dispatches as one operation.
    template <class Note>
    void operation(std::string name, std::function<OpCost(const StepInputs&)> cost, const Note& note);
    void note_kv(const KvView& kv);
    void note_norm(const MatmulInput& in, bool image);
    void note_pending(const MatmulInput* in = nullptr, bool image = false);
    // The step's memory is its inputs, then the segments of both classes of caches.
    static uint64_t inputs_bytes(const StepShape& shape) { return (StepInputs::bytes(shape) + 255) / 256 * 256; }
    static constexpr uint64_t kSegmentBytes = 2 * kMaxSpans * sizeof(SegmentEntry);
    static constexpr uint64_t kCounterBytes = kResultGroups * sizeof(uint32_t);  // of gated_image_
    Range image_range(const TensorView& x) const;
    ResultImage gated_image(const TensorView& x) const;
    StepMemory memory() const;

    std::shared_ptr<Context> context_;
    VulkanOptions options_;
    std::shared_ptr<Pipelines> pipelines_;  // these two are also those of the device that self-tests run on
    std::shared_ptr<Products> products_;
    std::unique_ptr<Queue> queue_;
    std::unique_ptr<Transfers> transfers_;
    std::unique_ptr<Meetings> meetings_;
    std::mutex zeroing_lock_;  // of these two, which any thread may allocate with
    std::unique_ptr<Queue> zeroing_queue_;
    std::unique_ptr<Transfers> zeroing_;
    std::unique_ptr<VulkanWeights> weights_;
    std::unique_ptr<MachineProbe> probe_;
    std::unique_ptr<Trust> trust_;          // null: every shader is believed
    std::shared_ptr<Products> tested_;      // by trust_
    std::unique_ptr<Race> race_;            // with trust_
    std::optional<Reader> reader_;          // the last product that takes an int8 image, for the tests of others

    std::shared_ptr<VulkanBuffer> upload_, block_;  // the step's inputs: as the host writes them, and as the device sees them
    // Scratch of products (images of their inputs, and of what gated ones leave), attention, top_k.
    std::shared_ptr<VulkanBuffer> image_, gated_image_, partials_, candidates_;
    std::deque<Kept> kept_;  // oldest first
    std::unique_ptr<Notes> notes_;
    Kept* current_ = nullptr;
    bool replays_ = false;
    StepInputs inputs_;
    StepShape shape_;
    StepWatch watch_;
    uint64_t last_submit_ = 0;
    Ticket ticket_ = 0;
    bool stopped_ = false, lost_ = false;
    std::exception_ptr thrown_;  // by the watch that stopped it, or a help
    Result<void> outcome_;
    double pace_ = 1.0;      // measured seconds of a step by estimated ones
    int64_t began_ns_ = 0;
    Recorder* recorder_ = nullptr;
    Counts counts_;
};

}  // namespace lapidary::runtime::vulkan
