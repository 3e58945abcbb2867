// Lapidary: Gemma 4 12B in your program. This header is the manual.
//
//   auto engine  = lapidary::Engine::open({.model = "gemma-4-12b.gguf"});
//   auto session = engine->new_session();
//   auto prompt  = engine->render({{{.role = lapidary::Role::user, .parts = {lapidary::Part::text("Hi!")}}}});
//   session->append(*prompt);
//   auto reply   = session->generate({}, [](const lapidary::Token& t) {
//       std::cout << t.text;
//       return lapidary::Flow::go;
//   });
//
// Rules. Every fallible call returns Result<T>; nothing aborts, prints, or writes to stdout or stderr. Messages
// name the option that matters as it stands here: EngineOptions::context.
// Paths are UTF-8. An Engine may be used from several threads; a Session from one thread at a time.
// Calls that read the model file, run the model or decode media block; the rest return at once.
// A Session shares ownership of its engine's weights, so either may be destroyed first.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "lapidary/plan.h"
#include "lapidary/result.h"

namespace lapidary {

// The library's own side of the classes below.
namespace model {
struct Access;
struct EngineState;
struct PromptData;
struct SessionState;
}  // namespace model

std::string_view version();   // "0.1.0"

// ---- what goes in ---------------------------------------------------------------------------------

// Which frames of a video the model sees: so many, evenly spread, or so many per second. Neither: the model's own number,
// 32 unless it says otherwise. All frames where a video has fewer.
struct VideoFrames {
    std::optional<int32_t> count = {};
    std::optional<double> fps = {};
};

// One piece of a message: text, or a picture, recording or video that becomes rows of the model's width. A recording longer
// than 30 s becomes several clips, a video its frames with the time of each; its sound is a part of its own: Part::audio of
// the same file.
struct Part {
    enum class Kind { text, image, audio, video };
    Kind kind = Kind::text;
    std::string text_value = {};        // text, UTF-8
    // Media in a file: PNG, JPEG, WebP or GIF; WAV, FLAC, Ogg (Vorbis, Opus) or MP3. With FFmpeg's libraries also M4A and the sound of
    // videos, and videos: MP4, MOV, MKV, WebM, AVI and more.
    std::filesystem::path path = {};
    std::vector<uint8_t> rgb = {};      // or a picture in memory: [height][width][3]
    int32_t width = 0, height = 0;
    std::vector<float> samples = {};    // or a recording in memory: mono, -1 to 1
    int32_t sample_rate = 16000;        // per second
    std::vector<uint8_t> encoded = {};  // or the bytes of a file in memory
    VideoFrames frames = {};

    static Part text(std::string value);
    static Part image(std::filesystem::path file);
    static Part image(std::vector<uint8_t> encoded);
    static Part image(std::vector<uint8_t> rgb, int32_t width, int32_t height);
    static Part audio(std::filesystem::path file);
    static Part audio(std::vector<uint8_t> encoded);
    static Part audio(std::vector<float> samples, int32_t sample_rate);
    static Part video(std::filesystem::path file, const VideoFrames& frames = {});
    static Part video(std::vector<uint8_t> encoded, const VideoFrames& frames = {});
};

// Whether the files of the media parts are there and of a kind that is read, by their headers: to be asked before a
// model is opened, which takes longer. Damage further inside is found by Engine::render.
Result<void> check_media(std::span<const Part> parts);
// An error unless the text is UTF-8; it says what else it seems to be, such as a picture. `name` is its subject.
Result<void> check_text(std::string_view text, std::string_view name);

enum class Role { system, developer, user, assistant, tool };

// What an assistant wants done, and what a tool answers.
struct ToolCall {
    std::string id = {};         // of a reply: call_ and the position of the token that completed it
    std::string name = {};
    std::string arguments = {};  // JSON text of an object; empty: none
};
struct ToolResponse {
    std::string name = {};       // of the tool
    std::string value = {};      // JSON text of any value
};

struct Message {
    Role role = Role::user;
    std::vector<Part> parts = {};
    std::string reasoning = {};   // an assistant's thoughts: kept after the last user message, dropped before it
    bool plain_string = false;    // content was one string, not a list of parts: trimmed differently
    std::vector<ToolCall> tool_calls = {};          // of an assistant. Their results follow as messages of the role tool,
    std::vector<ToolResponse> tool_responses = {};  // or stand here
    std::string tool_call_id = {};  // of a tool: which call it answers; where none has this id, `name` says
    std::string name = {};          // what was called
    // Of a tool: its result as JSON text. The model reads an object as an object there; unset, the texts of `parts` as one
    // string, and their media behind it.
    std::optional<std::string> value = {};
};

struct Conversation {
    std::vector<Message> messages = {};
    bool think = false;           // ask the model to think before it answers
    bool allow_special = false;   // let `<turn|>` and the like inside texts act as control tokens
    std::string tools = {};       // JSON text: [{"type":"function","function":{"name":...,"parameters":...}}, ...]
    bool preserve_thinking = false;  // keep the thoughts of earlier turns that called tools
    std::vector<std::string> notes = {};  // of conversation_from_json: what the text says and is not obeyed
};

// Token ids ready for a session, with the media rows that stand at the placeholder ids.
// Cheap to copy; immutable; belongs to the engine that made it.
class Prompt {
  public:
    const std::vector<int32_t>& ids() const;
    const std::string& text() const;      // as the template prints it, one placeholder per medium
    bool starts_in_thought() const;       // the reply begins inside the thought channel

  private:
    friend struct model::Access;
    explicit Prompt(std::shared_ptr<const model::PromptData> data);
    std::shared_ptr<const model::PromptData> data_;
};

// ---- engine ---------------------------------------------------------------------------------------

enum class Placement { automatic, cpu, gpu, split, phases };
enum class KvFormat { f32, f16, q8_0 };

// Called as work goes on, from the thread that asked for it: so much is done of so much. Return false to give up.
// What a sink throws, of this kind or another, passes through the call, which leaves its session as a cancelled one does.
using ProgressSink = std::function<bool(std::string_view stage, uint64_t done, uint64_t total)>;

// One sentence about what went otherwise than asked, and how the engine goes on.
using NoteSink = std::function<void(std::string_view)>;

struct Needs {                   // what a program is going to ask of a model
    bool text = false, image = false, audio = false;
};

struct ResearchOptions {                  // to study the model and the machine; nobody needs them to use one
    bool vision_blocks_everywhere = false;  // bidirectional picture blocks in full layers too
    uint32_t prefill_chunk = 512;         // tokens per prefill step; a picture is never cut
    std::string cpu_level = {};           // kernels: ref, avx2, avx512, ...; empty = LAPIDARY_CPU, else best
    bool profile = false;                 // time every operation: profile() in tools.h
    std::filesystem::path system_root = "/";  // whose proc and sys tell of memory, limits and power: for invented machines
    size_t trace_events = 0;              // keep so many events for write_trace() in tools.h; implies profile
};

struct EngineOptions {
    // .lapidary or GGUF file, Hugging Face folder, folder with one GGUF model, or the name under which another program keeps a model:
    // ollama:gemma4:12b, hf:org/name, hf:org/name:Q4_0, lmstudio:publisher/name, llama.cpp:file. A bare word that is no path
    // is looked for in all stores.
    std::filesystem::path model = {};
    // The projector of a GGUF model. Empty: of those beside the model the best that fits, looked for when pictures or
    // sound come, by content and never by name (docs/adr/0016-companions.md has the rule). "none": nothing is looked
    // for, and a GGUF model takes neither.
    std::filesystem::path mmproj = {};
    // For who counts tokens or renders prompts and runs nothing: no weight is looked at, so opening costs what the
    // tokenizer costs, and a file cut behind it or a vocabulary alone will do. new_session() is an error, and of info()
    // only what concerns prompts counts.
    bool prompts_only = false;
    Needs needs = {};                     // opening fails, before weights are read, unless the model has these
    uint32_t context = 0;                 // tokens per session; 0 = min(8192, the model's own limit)
    int threads = 0;                      // 0 = LAPIDARY_THREADS, else every performance core of this process
    int prefill_threads = 0, decode_threads = 0;  // of long steps, of steps up to 8 tokens; 0 = `threads`
    // automatic: LAPIDARY_PLACEMENT, else what is fastest by the rates that were measured (tools.h), else the CPU. gpu: the whole model on one Vulkan device; split: layers or rows on it and
    // the others on the CPU; phases: prompts on it and replies on the CPU, over one copy of weights and cache, where both devices
    // see the same memory. Where there is no such device, or it cannot be used, device_unavailable with every device's
    // reasons.
    Placement placement = Placement::automatic;
    std::optional<uint32_t> gpu_layers = {};  // split: the last so many, with the head, on the GPU; 0: cpu, all: gpu
    std::optional<double> gpu_share = {};     // split: of the rows of every matrix, 0 to 1, for prompts and for replies
    // Which GPU: a number as doctor() counts, or a part of its name; naming one asks for the GPU. Empty:
    // LAPIDARY_DEVICE, else the best that is no software device.
    std::string device = {};
    // Where a GPU's compiled shaders and the verdicts on them are kept, for the next start. Empty: lapidary in
    // $XDG_CACHE_HOME, else in ~/.cache; "none": nowhere.
    std::filesystem::path cache_folder = {};
    // Of keys and values. Empty: f16, or q8_0 where the context fits into memory in no other way, which Plan::why then says.
    std::optional<KvFormat> kv = {};
    // Memory that may be used, in bytes. Empty: what the machine and its limits leave, less a floor for everything else.
    // What does not fit is refused before weights are read: does_not_fit.
    std::optional<uint64_t> memory_bytes = {};
    uint32_t sessions = 1;                // for so many the plan keeps room; more are made as long as memory lasts
    bool conversations = false;           // they take turns (Session::replace): the plan keeps room for a checkpoint each
    bool precise = false;                 // f32 matmul inputs, f32 KV: what parity tests use
    int image_tokens = 0;                 // 70 140 280 560 1120; 0 = the model's
    // Stage "load", in bytes of the weights that are rearranged: 0 of 0 when the file is opened, then from 0 to all.
    // False: open() returns `cancelled`.
    ProgressSink progress = {};
    // Told when a GPU was lost, memory was given back because the machine is short of it or did not do for a checkpoint, or a
    // change of power moved the model to other devices: by the call that met it, while it computes. As long as the engine or a session lives.
    NoteSink note = {};
    ResearchOptions research = {};
};

// Which kernels multiply the matrices of one format that stand in panels, after the start-up race.
struct PanelKernels {
    std::string format;                   // q4_0, ...
    std::string few, many;                // level: of steps up to 8 tokens, of longer ones
};

struct ModelInfo {
    std::string name, source, type;       // "gguf", "hf" or "lapidary"; the commonest matrix format
    std::string isa;                      // level of the kernels: avx512, ...
    std::string gpu;                      // that it was opened on; empty: the CPU
    std::vector<PanelKernels> panels;     // where the start-up race chose; the level's own serve everything else
    int32_t layers = 0, hidden = 0, vocab = 0;
    uint32_t context = 0;                 // of a session
    uint32_t model_context = 0;           // that the checkpoint was made for
    uint64_t parameters = 0, weight_bytes = 0;
    uint64_t kv_bytes_per_session = 0;
    // Inputs. text false: no usable tokenizer. A projector beside a GGUF model counts when Needs asked for it.
    bool image = false, audio = false, text = false;
    int threads = 0, prefill_threads = 0, decode_threads = 0;
    KvFormat kv = KvFormat::f16;
    double load_seconds = 0;
    std::vector<int32_t> stop_ids, suppress_ids;
    std::vector<std::string> notes;       // what of the files and options is not made use of, one sentence each
    std::string system;                   // a system prompt that its store keeps with the model; applied by Chat and the program alone
    std::string untimed;                  // why profile() and write_trace() of this engine lack operations; empty: they lack none
};

class Session;

struct TokenizeOptions {
    bool special = false;   // parse control tokens in the text
    bool bos = false;       // put the beginning-of-sequence id in front
};

// Files are mapped, not copied: who makes one shorter while an engine has it open ends the process with SIGBUS. The
// engine's threads do not survive fork(): the child may destroy its objects, and compute with an engine of its own.
// Floating-point traps must be off in threads that compute. Of moved-from engines, sessions and prompts nothing may be
// asked; they can be destroyed and assigned to.
class Engine {
  public:
    // Maps the model, checks it, and rearranges what this machine multiplies faster in another order (matrices
    // of most formats, not with `precise`): a pass over those weights, which a .lapidary file has behind it.
    // Everything else is read when it is used.
    static Result<Engine> open(const EngineOptions& options);

    const ModelInfo& info() const;
    // As the model lies now, with the speeds of the present state of power. Any thread may ask.
    Plan plan() const;
    // does_not_fit when the machine has no room for its keys and values, or its programs wait for memory already.
    Result<Session> new_session() const;

    // Errors of these three when the model has no usable tokenizer: bad_model_file.
    Result<std::vector<int32_t>> tokenize(std::string_view text, const TokenizeOptions& options = {}) const;
    Result<std::string> detokenize(std::span<const int32_t> ids, bool special = false) const;
    Result<std::string> piece(int32_t id) const;   // the vocabulary's own text for one id

    // The chat template applied, media decoded, resized and framed. A recording that cannot fit into the context is
    // refused by the length in its header, or as soon as it gets too long: context_full. What was decoded before is kept, up to 256 MiB, and known
    // again by content. `progress`: stage "media", in thousandths of a medium; false: `cancelled`.
    Result<Prompt> render(const Conversation& conversation, const ProgressSink& progress = {}) const;
    // The parts as they are, without a template: BOS, then text and media in order.
    Result<Prompt> raw(std::span<const Part> parts, bool special = true, const ProgressSink& progress = {}) const;
    // Bare ids; checked against the vocabulary size.
    Result<Prompt> tokens(std::span<const int32_t> ids) const;

  private:
    friend struct model::Access;
    explicit Engine(std::shared_ptr<model::EngineState> state);
    std::shared_ptr<model::EngineState> state_;
};

// ---- session: one sequence and its KV cache -------------------------------------------------------

// What a sink answers: go on, stop and keep what was said, or stop and forget this reply.
enum class Flow { go, stop, discard };

struct TokenProb {
    int32_t id = 0;
    float logprob = 0;
};

struct Token {
    int32_t id = 0;              // -1: no token, only text that was held back until the end
    std::string_view text;       // newly complete UTF-8 of the answer; may be empty; valid during the call
    std::string_view thinking;   // the same of the thought channel
    const ToolCall* tool_call = nullptr;  // that this token completed; valid during the call
    float logprob = 0;           // of this token, at temperature 1; only with GenerateOptions::logprobs. Forced: 0
    std::span<const TokenProb> top;
};
using TokenSink = std::function<Flow(const Token&)>;

struct Sampling {                // unset: what its store says, else the checkpoint's generation settings, else Gemma's
    std::optional<float> temperature = {}, top_p = {}, min_p = {};  // temperature 0: greedy
    std::optional<int> top_k = {};                                  // 0: off
    std::optional<uint64_t> seed = {};                              // unset: random, see Reply::seed
};

struct GenerateOptions {
    uint32_t max_tokens = 1024;
    Sampling sampling = {};
    int logprobs = 0;            // alternatives to report per token
    std::vector<std::string> stop = {};  // texts that end the reply, no part of it; empty: what the model's store says
    bool ignore_eos = false;     // benchmarks: run to max_tokens
    std::optional<uint32_t> think_budget = {};  // tokens of thoughts, after which an open one is closed by force
    std::string tools = {};      // Conversation::tools: a call with an unquoted string can be read by their schemas
    // Only calls of these tools, with arguments as their schemas say, can be written. What of the schemas is not served is
    // bad_grammar.
    bool hold_tools = false;
    // JSON text of a JSON Schema that the answer is held to, behind thoughts and beside calls of tools: a reply that stops is one
    // JSON text that validates, or calls; one cut by max_tokens is the beginning of such a text, which no later reply goes on
    // with. Keywords that are not served are named in the error before anything is computed: bad_grammar (docs/adr/0026-schema.md
    // has the list). `stop` and ignore_eos do not go with it. Probabilities are those among the tokens that may come.
    std::string schema = {};
    // Honoured between layers. The sequence stays as it is; a prompt that was stopped inside a chunk is computed from its
    // beginning by the next call, because the windows of the layers that were through have moved on.
    std::stop_token cancel = {};
    ProgressSink progress = {};  // stage "prompt", in tokens, while they are computed; false cancels
};

enum class FinishReason { stop, length, tool_calls, cancelled };

struct Usage {
    uint32_t prompt = 0;         // tokens in the sequence before the reply
    uint32_t cached = 0;         // of these: computed by earlier calls
    uint32_t generated = 0;
};

struct Timings {                 // of one generate, by the wall clock
    double prefill_s = 0;        // computing the prompt: rows of its media, and the forward pass to the first logits
    double decode_s = 0;         // the forward passes behind the first token, one for each of decode_steps
    double sampling_s = 0;       // choosing tokens from logits
    double wait_s = 0;           // for the turns of other sessions
    double ttft_s = 0;           // from the call to the first token, all of the above included
    uint32_t decode_steps = 0;
    uint64_t decode_bytes = 0;   // that decode_steps read: matrices, as stored, and keys and values
};

struct Reply {
    std::string text, thinking;
    std::vector<ToolCall> tool_calls;       // run them, add the message and their results, and render again
    std::vector<std::string> broken_calls;  // as the model wrote them: cut short, or beyond reading
    // tool_calls: the model stopped to have its calls done. length: max_tokens were generated, or (context_full) the last token has no place in the context and is not in the
    // sequence. cancelled: by the stop token, a progress sink, Flow::stop or Flow::discard.
    FinishReason finish = FinishReason::stop;
    bool context_full = false;
    bool in_thought = false;     // it ended inside a thought; the next generate goes on there
    std::vector<int32_t> tokens; // the stop id included, and what a stop text hides
    uint64_t seed = 0;
    Usage usage;
    Timings timings;
};

enum class Rows { last, all };

// The residual behind one layer, not normed: f32 [count][width], of positions [position, position + count). Valid during
// the call.
struct HiddenRows {
    int32_t layer = 0;  // 0 is the first
    uint32_t position = 0;
    int32_t count = 0, width = 0;
    std::span<const float> values = {};
};
using HiddenSink = std::function<void(const HiddenRows&)>;

struct ForwardOptions {
    Rows rows = Rows::last;      // of the last token, or of every queued one
    std::stop_token cancel = {}; // honoured between layers: the call returns `cancelled`
    ProgressSink progress = {};  // stage "prompt", in tokens, while they are computed; false cancels
    // Layers that `hidden` hears of, a chunk of tokens at a time, every token that is computed; the same rules as for
    // the sink of logits.
    std::vector<int32_t> hidden_layers = {};
    HiddenSink hidden = {};
};

// Receives one row of logits [vocab] after the soft cap; row counts from 0. Valid during the call.
using LogitsSink = std::function<Flow(int64_t row, std::span<const float> logits)>;

// A sink of its own reply or forward may look at a session, save and fork it; what would change it is invalid_argument then.
class Session {
  public:
    // Queues tokens; they are computed by the next generate or forward. context_full when they do not fit.
    Result<void> append(const Prompt& prompt);

    // For conversations, a turn after the other: the prompt, rendered of the whole conversation, becomes the sequence. What
    // both begin with, pictures and sound of the same content included, is kept; the rest is queued. Returns how many
    // tokens were kept; of a reply's Usage, `cached` are those that the cache still knew. Once the reply to such a prompt gets longer than 8
    // tokens, the engine keeps a checkpoint of the sliding layers (of the 12B 335 MB in f16) to come back to where it began, as
    // long as memory lasts. context_full when the prompt does not fit; the sequence is then as it was.
    Result<uint32_t> replace(const Prompt& prompt);

    // Computes what is queued, then samples until a stop. The reply's tokens join the sequence, all of them.
    Result<Reply> generate(const GenerateOptions& options = {}, const TokenSink& sink = {});

    // Computes what is queued (the last token again where nothing is) and hands out logits. Other sessions of the engine
    // wait while its sink, or a progress sink, runs, and the sink cannot compute with them: invalid_argument. The sink
    // of generate can.
    Result<void> forward(const ForwardOptions& options, const LogitsSink& sink);

    uint32_t position() const;      // tokens in the sequence, queued ones included
    // Forgets everything from `position` on. Positions the cache cannot go back to are computed again.
    Result<void> rewind(uint32_t position);
    // A session of its own with the same sequence, computed as far: both go on from here, and neither sees the other.
    // Keys and values of whole stretches of 4096 tokens are shared, the rest is copied.
    Result<Session> fork() const;

    // Writes the sequence, its keys and values and which model they are of: to a temporary file beside it, which is renamed. io_error leaves a file
    // that was there as it was. Queued tokens are saved queued.
    Result<void> save(const std::filesystem::path& file) const;
    // A session that goes on where the saved one stood: on the same kind of device, threads and options, bit for bit. bad_session_file: damaged, cut short, of
    // another model, format of keys and values, or version; context_full: longer than this engine's context.
    static Result<Session> restore(const Engine& engine, const std::filesystem::path& file);

    Session(Session&&) noexcept;
    Session& operator=(Session&&) noexcept;
    ~Session();

  private:
    friend struct model::Access;
    explicit Session(std::unique_ptr<model::SessionState> state);
    std::unique_ptr<model::SessionState> state_;
};

}  // namespace lapidary
