// What the command line needs beyond chatting: looking into files, making synthetic ones, measuring,
// and reading conversations from JSON. Same rules as lapidary.h.
#pragma once

#include "lapidary/lapidary.h"

namespace lapidary {

// ---- inspect --------------------------------------------------------------------------------------
struct TensorReport {
    std::string name, type, kernel, file;   // kernel: which one will serve it
    std::vector<int64_t> shape;             // outermost first
    uint64_t bytes = 0;
};
struct ModelReport {
    ModelInfo info;
    std::vector<std::pair<std::string, std::string>> config;    // name, value; in reading order
    std::vector<std::pair<std::string, std::string>> metadata;  // the file's own keys, long values cut
    std::vector<TensorReport> tensors;
    std::vector<std::filesystem::path> files;
    std::string chat_template;              // the file's Jinja text; shown, never executed
    std::string text_problem;               // why there is no tokenizer, if there is none
};
Result<ModelReport> inspect(const EngineOptions& options);

// ---- plan -----------------------------------------------------------------------------------------
struct PlanOptions {
    EngineOptions engine = {};
    std::string synthetic = {}, type = "q4_0";  // a preset of synth instead of a file
    int layers = 0;                         // of it; 0 = the preset's
    std::string machine = {};               // a modelled laptop of plan_machines(); empty: this machine
};
// What Engine::open would do, without weights: it reads the headers of a model's files alone. A plan that does not fit is a
// plan, no error.
Result<Plan> plan(const PlanOptions& options);
struct PlanMachine {
    std::string name, description;          // where its figures come from
};
std::vector<PlanMachine> plan_machines();

// ---- models that other programs keep ----------------------------------------------------------------
struct FoundModel {
    std::string name = {};                  // of the store, "ollama:gemma4:12b"; empty: `path` is what was given
    std::filesystem::path path = {};        // file or folder
    std::filesystem::path mmproj = {}, drafter = {};  // that are kept with it; empty: none
};
// What EngineOptions::model stands for; opens nothing. model_not_found, with the nearest names or all that fit, where a name is that of
// no model or of several; a path need not exist.
Result<FoundModel> find_model(const std::filesystem::path& model);

struct StoredModel {
    std::string name, program;              // EngineOptions::model; Ollama, Hugging Face, LM Studio, llama.cpp
    std::filesystem::path path;             // file or folder; empty where it is not known
    uint64_t bytes = 0;                     // of weights and projector
    std::string title, type;                // ModelInfo::name, type
    bool text = false, image = false, audio = false, drafter = false;  // drafter: one is kept with it
    bool fits = false;                      // as plan() says
    uint64_t total_bytes = 0, budget_bytes = 0;
    std::string problem;                    // why it cannot be opened; the fields of its content are then unset
};
struct StoreProblem {
    std::filesystem::path folder;           // or file of settings
    std::string message, hint;
};
struct StoredModels {
    std::vector<StoredModel> models;
    std::vector<StoreProblem> problems;     // of folders that could not be read
    std::vector<std::filesystem::path> folders;  // that were looked at, whether they are there or not
};
// All of them, from headers alone. `engine` is what plans are made with; its model is not looked at.
Result<StoredModels> stored_models(const EngineOptions& engine = {});
// Their names alone, without a look into any of them.
std::vector<std::string> stored_names();

// ---- rates ----------------------------------------------------------------------------------------
// What a device reads (1e9 bytes) and multiplies (1e9 multiply-adds) a second in this program's own steps. 0: not measured.
struct DeviceRates {
    double read_gbps = 0, read_gbps_together = 0;    // of a token; together: while the other device works as well
    double few_gmacs = 0;                            // steps of 4 tokens
    double many_gmacs = 0, many_gmacs_together = 0;  // long steps
    double attention_gmacs = 0;                      // behind 8192 tokens
    double token_f16_gmacs = 0, token_q8_gmacs = 0;  // attention of a single token behind 65536, keys and values in f16 and q8_0
};
struct CalibrateOptions {
    EngineOptions engine = {};              // threads, and the GPU that it asks for; its model is not read
    std::string type = "q4_0", preset = "12b";  // of the layers that are timed, as for synth
    double seconds = 0.5;                   // of each measurement; there are eight for the CPU, some twenty with a GPU. A long
                                            // step may take four times as much
    std::stop_token cancel = {};
    ProgressSink progress = {};             // stage "measure"
};
struct RatesReport {
    std::string power, gpu, time;           // power: "mains, balanced"; gpu empty: the CPU alone
    std::filesystem::path file;             // that plans read from now on
    DeviceRates cpu, gpu_rates;
    double handover_s = 0;                  // from one device to the other
    double meeting_s = 0;                   // of both in the midst of a step, as shares of rows need it
};
// Measures this machine for plans, in half a minute, and keeps the result in the cache folder. Takes 3.5 GB of memory for a moment
// (q4_0), with a GPU that shares it 5; does_not_fit where they are not there.
Result<RatesReport> calibrate(const CalibrateOptions& options);

// ---- synth ----------------------------------------------------------------------------------------
struct SynthOptions {
    std::filesystem::path out = {};
    std::string preset = "12b";             // 12b, tiny
    std::string type = {};                  // q4_0 q8_0 q4_k q6_k bf16 f16; empty: q4_0, of a folder bf16
    std::string format = "gguf";            // gguf, hf
    int layers = 0;                         // 0 = the preset's
    ProgressSink progress = {};             // stage "write", in bytes
};
// Random weights of the exact shapes. Written beside OUT and renamed: OUT is whole or absent.
Result<void> synth(const SynthOptions& options);

// ---- doctor ---------------------------------------------------------------------------------------
struct IsaReport {
    std::string name;
    bool built = false, supported = false, selected = false;
    std::string int8_instruction = {};      // what its int8 peak is measured with; empty where it cannot run
};
struct KernelReport {
    std::string op, isa, function;
};
struct RaceReport {                         // one runner of the start-up race, on one thread
    std::string format, isa;
    bool few_columns = false, won = false;  // few: a decoded token, weights from memory; else a prompt
    double gmacs = 0;
};
struct GpuHeap {
    uint64_t bytes = 0, budget_bytes = 0;   // budget: what the driver lends this process; 0: it does not say
    bool device_local = false;
};
// What is known of a GPU's shaders, on this driver and in this version. A shader is compared with the CPU before it serves,
// and its tuning is chosen by a race; both are remembered.
struct GpuVerdicts {
    struct Winner {
        std::string race, winner;           // "matvec_q4_0_dot k3840", "64x2"
        double speedup = 1;                 // over what serves without a race
    };
    std::filesystem::path file;             // empty: nothing is kept
    std::vector<std::string> passed;
    std::vector<std::pair<std::string, std::string>> failed;  // and why; a test that never came back is one
    std::vector<std::string> untested;      // shaders of products that no model has wanted here
    std::vector<Winner> winners;
};
struct GpuReport {                          // a Vulkan device, as EngineOptions::device names it
    int index = 0;
    std::string name, type, driver, api;    // type: integrated, discrete, virtual, software, other
    bool software = false, unified = false; // software: used only when named; unified: one memory for CPU and GPU
    std::vector<GpuHeap> heaps;
    std::vector<std::pair<std::string, bool>> features;    // those that shaders make use of
    std::vector<std::string> matrices;                      // cooperative: "f16 16x16x16"
    std::vector<std::pair<std::string, uint64_t>> limits;
    std::vector<std::string> reasons;       // why it cannot be used; empty: it can
    GpuVerdicts verdicts;
};
struct DoctorReport {
    std::string version, cpu;
    int cores = 0, threads = 0;
    std::vector<IsaReport> isa;
    std::vector<KernelReport> kernels;
    std::vector<RaceReport> race;           // empty where one level only runs, or LAPIDARY_CPU names it
    uint64_t memory_total_bytes = 0, memory_free_bytes = 0;  // free: can be taken without swapping
    // The smallest limit of the control groups around this process, 0 = none; what the tightest group has left, and its folder
    // ("/sys/fs/cgroup/user.slice"), which need not be the one with the smallest limit.
    uint64_t memory_limit_bytes = 0, memory_limit_left_bytes = 0;
    std::string memory_limit_from;
    uint64_t swap_free_bytes = 0;
    bool on_battery = false;
    std::string power_profile;              // "low-power", "balanced", "performance", ...; empty: unknown
    std::string power;                      // both in words: "battery, low-power"
    std::string gpu;                        // that Placement::gpu takes; else "none" and why
    std::vector<GpuReport> gpus;            // all that Vulkan shows
    std::vector<std::string> advice;
};
Result<DoctorReport> doctor();
// The GPU that an engine with these options computes on; nothing: the CPU does. Opens nothing.
Result<std::optional<GpuReport>> gpu_of(const EngineOptions& options);

// ---- profile --------------------------------------------------------------------------------------
// All calls of one operation in one kind of layer since the engine was opened with ResearchOptions::profile.
struct ProfileRow {
    std::string op, layer;                  // "matmul gate+up", "sliding"
    uint64_t count = 0;
    double seconds = 0, share = 0;          // share: of the time of all rows
    double gbps = 0, gmacs = 0;             // per second; weights count in their source format
    double wait_seconds = 0;                // the calling thread, for the slowest worker
    double idle_seconds = 0;                // all workers together: not yet awake, or out of work
    std::string device = {};                // of an engine with several; they may work at the same time
};
std::vector<ProfileRow> profile(const Engine& engine);  // most seconds first; empty without that option

struct TraceReport {
    uint64_t events = 0, dropped = 0;       // dropped: beyond ResearchOptions::trace_events
};
// Chrome's trace format, which Perfetto opens: a process per device, there one track per thread and one for the layers. Two devices
// that share rows are one, with the waits of either.
Result<TraceReport> write_trace(const Engine& engine, const std::filesystem::path& file);

// ---- bench ----------------------------------------------------------------------------------------
// What is timed is the forward pass alone, on fixed pseudo-random ids: no tokenising, no sampling.
struct BenchOptions {
    EngineOptions engine = {};              // .model unused with `synthetic`
    std::string synthetic = {}, type = "q4_0";  // preset to make in memory instead of a file
    int layers = 0;
    std::vector<int> prompt = {512}, generate = {32}, depth = {0};
    std::vector<int> columns = {};          // cost of a step of so many tokens, all rows of logits wanted
    bool fill = false;                      // what lies in front (depth) is made up: quick, for speed alone
    int repetitions = 5;
    // Rates are measured around all repetitions, as calibrate() does and beside the model, and predict the speed; they are not
    // kept. Else those that are kept predict it.
    bool calibrate = false;
    std::filesystem::path trace = {};       // written when all tests are done
    std::stop_token cancel = {};
    std::function<void(const ModelInfo&)> opened = {};  // called once, before anything is measured
    // Stage "3/12 pp512": the third of all repetitions, and its test. In tokens, generated ones count as eight: so
    // much longer they take, about. Called between what is timed; false cancels.
    ProgressSink progress = {};
};
struct BenchRow {                           // the fields of `bench --json`
    std::string test;                       // pp512, tg32, cols4; "@ d4096" is in `depth`
    int n_prompt = 0, n_gen = 0, columns = 0, depth = 0, reps = 0;
    double tps_median = 0, tps_mean = 0, tps_sd = 0;
    double predicted_tps = 0;               // by the planner, of pp and tg; 0: no rates are known
    double gbps = 0, gmacs = 0;             // what the model read and multiplied per second, medians
    double machine_gbps = 0;                // reads per second, measured between the pieces of the test
    double machine_gmacs = 0;               // int8 peak of `peak_instruction`, measured likewise
    double machine_matrix_gmacs = 0;        // of `matrix_instruction`, after the test; 0: the device has none
    double pct_bandwidth = 0, pct_int8_peak = 0;  // medians over pieces, each against the probes around it
    std::vector<uint64_t> ns;               // of each repetition
    double ttft_ns = 0;                     // pp: until the logits of the last token, median; else 0
    double token_p50_ns = 0, token_p95_ns = 0;    // tg: of single tokens, over all repetitions; else 0
    // cols: time of a step, and relative to a step of one token measured just before. `allowed` is where
    // arithmetic at three quarters of the int8 peak becomes the limit: max(1, MACs / (0.75 peak x t1)).
    double step_ms = 0, cost_ratio = 0, cost_allowed = 0;
    std::string peak_instruction;           // "vpdpbusd zmm": the fastest one that these kernels have for it
    std::string matrix_instruction;         // of a GPU's cooperative matrices; empty: it has none
    std::string gpu;                        // empty: the CPU computed
    std::string split;                      // of a placement split: which layers or rows are where
    std::string cpu, isa, placement, model, type, kv, logits_hash, version, compiler;
    int threads = 0, prefill_threads = 0, decode_threads = 0;
    uint64_t model_bytes = 0, peak_rss_bytes = 0, probe_bytes = 0;  // probe: part of the peak, as is a second cache
    std::vector<std::string> warnings;      // why not to trust the figures; empty: nothing noticed
    std::vector<ProfileRow> profile;        // of the timed steps, with ResearchOptions::profile
    std::string untimed;                    // of its ModelInfo
};
using BenchSink = std::function<Flow(const BenchRow&)>;
// The report is of the trace, if one was asked for.
Result<TraceReport> bench(const BenchOptions& options, const BenchSink& sink);

// ---- quality --------------------------------------------------------------------------------------
struct Estimate {                           // of a mean, with standard error; positions count as independent
    double value = 0, error = 0;
};
struct Divergence {                         // of a model from a base, over the positions of a text
    uint64_t positions = 0, targets = 0;    // targets: positions whose next token is known
    Estimate mean;                          // KL(base || model), nats, and its quantiles
    double median = 0, p90 = 0, p99 = 0, max = 0;
    Estimate same_top;                      // share of positions whose likeliest token is the same
    Estimate p_mean, p_rms;                 // probability of the true token, model - base
    Estimate perplexity, base_perplexity;   // over the targets, as what follows
    Estimate ratio;                         // perplexity / base_perplexity; pairing makes its error small
};

struct Excerpt {                            // what models are judged on: one of text, ids, random_tokens
    std::string text = {};                  // UTF-8
    bool special = false;                   // control tokens in the text act as such
    std::vector<int32_t> ids = {};
    uint32_t random_tokens = 0;             // drawn evenly: for models without a tokenizer
    uint64_t seed = 1;
    uint32_t limit = 0;                     // use the first tokens only; 0 = all
};
// The excerpt is cut into contexts of `engine.context` tokens (0 = 512, or the model's limit if that is
// less), each with BOS in front. The first predicts all of its tokens; each later one moves on by `stride`
// tokens and predicts these, the others being their past. So every token is predicted once.
struct PerplexityOptions {
    EngineOptions engine = {};
    Excerpt excerpt = {};
    uint32_t stride = 0;                    // 0 = half the context
    std::stop_token cancel = {};
    ProgressSink progress = {};             // stage "score", in tokens
};
struct Coverage {                           // of an excerpt
    uint64_t tokens = 0, contexts = 0;      // tokens predicted; in so many contexts
    uint32_t context = 0, stride = 0;
};
struct PerplexityReport {
    ModelInfo model;
    Coverage coverage;
    Estimate nll, perplexity;               // nats per token, and exp of it
    double seconds = 0;                     // of computing, without loading
};
Result<PerplexityReport> perplexity(const PerplexityOptions& options);

// The base runs first and is closed before the model opens: memory holds one at a time, and the base's
// rows. Those are kept whole as far as base_rows_bytes go, spread evenly; the others as their 256 likeliest
// tokens and the mass of the rest as one, which understates the divergence. By how much is measured on the
// rows that are whole.
struct KldOptions {
    EngineOptions model = {}, base = {};    // .context of `model` counts for both
    Excerpt excerpt = {};
    uint32_t stride = 0;                    // 0 = half the context
    uint64_t base_rows_bytes = uint64_t{512} << 20;
    std::stop_token cancel = {};
    ProgressSink progress = {};             // stages "base" and "score", in tokens
};
struct KldReport {
    ModelInfo model, base;
    Coverage coverage;
    Divergence divergence;
    uint64_t reduced_rows = 0;              // not kept whole
    double tail_mass = 0;                   // of reduced rows: mean probability outside the kept tokens
    Estimate understated;                   // KL that a reduced row loses; 0 without both kinds of rows
    double seconds = 0;                     // all of it
};
Result<KldReport> kld(const KldOptions& options);

// ---- pack -----------------------------------------------------------------------------------------
struct PackOptions {
    std::filesystem::path model = {}, mmproj = {};  // as in EngineOptions
    std::filesystem::path out = {};         // a .lapidary file there is replaced, anything else refused
    std::string type = {};                  // q4_0 q8_0 q4_k q6_k bf16 f16; empty: as in the source
    int threads = 0;                        // as in EngineOptions
    std::string cpu_level = {};             // as in ResearchOptions
    std::filesystem::path kld_text = {};    // then compare source and result on this text
    uint32_t kld_tokens = 512;              // its first tokens, the begin-of-text token included
    ProgressSink progress = {};             // stages "pack" and "compare", in bytes of weights
};
struct PackedTensor {
    std::string name, from, to;             // types
    bool panels = false;
    std::vector<int64_t> shape;
    uint64_t bytes = 0;                     // in the file
    double rms = 0, rmse = 0, max_error = 0;  // of the source's values, and what `to` changed; 0: kept
};
struct PackReport {
    uint64_t source_bytes = 0, bytes = 0;   // of tensors read; of the file
    double seconds = 0;                     // without the comparison
    std::vector<PackedTensor> tensors;      // in file order
    std::vector<std::string> notes;         // ModelInfo::notes of the source
    bool compared = false;
    Divergence divergence;                  // of the result from the source, with `kld_text`
    double compare_seconds = 0;
};
// Writes the model as one .lapidary file: matrices in the order that kernels read them, mapped in place when it
// is opened. OUT is whole or absent. Needs little memory, whatever the model's size.
Result<PackReport> pack(const PackOptions& options);
// Reads every tensor of a .lapidary file and compares its checksum; returns the bytes read.
Result<uint64_t> verify(const std::filesystem::path& file, const ProgressSink& progress = {});

// ---- conversations --------------------------------------------------------------------------------
// {"messages":[...],"tools":[...]} in the OpenAI form; media parts name files, the arguments of a call are a string or an
// object, and a tool's result may be any value. Errors name the message.
Result<Conversation> conversation_from_json(std::string_view json);
// Conversation::tools out of a file: the list, or an object that has it as "tools".
Result<std::string> tools_from_json(std::string_view json);

// The model that every verb uses when none is named: found relative to the running program.
Result<std::filesystem::path> bundled_model();

}  // namespace lapidary
