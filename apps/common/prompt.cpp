// From options to a conversation; see prompt.h.
#include "apps/common/prompt.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <span>
#include <utility>

#include "apps/common/files.h"
#include "base/describe.h"
#include "base/try.h"
#include "lapidary/tools.h"

namespace lapidary::cli {
namespace {

Result<void> take_think(PromptOptions& options, const std::string& option, const std::string& text) {
    options.think = text;
    options.think_budget.reset();
    if (text != "on" && text != "off") {
        const auto budget = parse_count(option, text, 1, INT32_MAX);
        if (!budget) return usage(fmt::format("{} is '{}', allowed are on|off|N", option, text));
        options.think = "on";
        options.think_budget = static_cast<uint32_t>(*budget);
    }
    options.think_given = true;
    return {};
}

constexpr const char* kSchemaForms = "give a file, or JSON that begins with {; {} allows any JSON text";

// No file's name, but the text itself.
bool is_json(const std::string& schema) {
    const size_t first = schema.find_first_not_of(" \t\r\n");
    return first != std::string::npos && schema[first] == '{';
}

bool has_media(const PromptOptions& options) {
    return !options.images.empty() || !options.audios.empty() || !options.videos.empty();
}

// How many media are to come from standard input.
int64_t media_from_stdin(const PromptOptions& options) {
    int64_t count = 0;
    for (const auto* files : {&options.images, &options.audios, &options.videos})
        count += std::count(files->begin(), files->end(), "-");
    return count;
}

// How many things are, media among them: it can be read once.
int64_t uses_of_stdin(const PromptOptions& options) {
    int64_t count = media_from_stdin(options) + options.then_stdin;
    for (const auto* file : {&options.text, &options.file, &options.messages, &options.tools, &options.schema}) count += *file == "-";
    return count;
}

// What must not stand together, told before anything is read.
Result<void> check_combination(const PromptOptions& options) {
    const bool media = has_media(options);
    LAP_TRY(check_video_options(options));
    if (options.messages) {
        if (options.text || options.file) return usage("a text and --messages exclude each other");
        if (options.then_stdin) return usage("--messages excludes -", "--messages - reads standard input");
        if (media) return usage("--messages excludes --image, --audio and --video", "name the files in the messages");
        if (options.system) return usage("--messages excludes --system", "put a system message into the file");
        if (options.raw) return usage("--messages excludes --raw", "a conversation needs the template");
    }
    if (options.text && options.file) return usage("the prompt was given as text and as --file", "give one of them");
    if (uses_of_stdin(options) > 1)
        return usage("standard input was asked for twice", "give one text, file or medium through it, and name files for the rest");
    if (options.raw && options.system) return usage("--raw excludes --system", "a raw prompt has no roles");
    if (options.raw && options.tools) return usage("--raw excludes --tools", "a raw prompt has no template");
    if (options.raw && options.think_given) return usage("--raw excludes --think", "a raw prompt has no template");
    return {};
}

// The text that the options hold or name; unset: none of them does.
Result<std::optional<std::string>> given_text(const PromptOptions& options) {
    if (options.text && *options.text != "-") {
        LAP_TRY(check_plain_text(*options.text, "the prompt"));
        return options.text;
    }
    if (!options.file) return std::optional<std::string>();
    LAP_ASSIGN(std::string text, read_plain_text(*options.file));
    return std::optional(std::move(text));
}

// The text from wherever it comes; an empty one is none, except where it stands beside a medium or is asked for --raw.
Result<std::string> read_text_prompt(const PromptOptions& options) {
    LAP_ASSIGN(const std::optional<std::string> given, given_text(options));
    const bool media = has_media(options);
    const bool named = given || options.text || options.then_stdin;
    std::string text = given.value_or("");
    if (media_from_stdin(options) > 0) return text;
    if (!named && stdin_is_terminal()) {
        if (media) return text;
        return usage("there is no prompt", "give one with -p TEXT, --messages FILE or through a pipe");
    }
    const bool reads = !given || options.then_stdin;
    if (reads) {
        LAP_ASSIGN(const std::string read, read_plain_text("-"));
        text = given ? text + "\n" + read : read;
    }
    if (text.empty() && !media && !(options.raw && named))
        return usage(fmt::format("there is no prompt: {} is empty", reads          ? "standard input"
                                                                  : options.file ? *options.file
                                                                                 : "the text"),
                     "give one with -p TEXT");
    return text;
}

// - is standard input, which can be read once: a video and its sound share the bytes.
Result<Part> medium(Part::Kind kind, const std::string& file, std::optional<std::vector<uint8_t>>& from_stdin) {
    Part part;
    part.kind = kind;
    part.path = file;
    if (file != "-") return part;
    if (!from_stdin) {
        LAP_ASSIGN(const std::string bytes, read_text("-"));
        if (bytes.empty())
            return Error{Errc::media_unsupported, "standard input is empty, where a medium should come", "pipe the bytes of a file into it"};
        from_stdin.emplace(bytes.begin(), bytes.end());
    }
    part.path.clear();
    part.encoded = *from_stdin;
    return part;
}

// Pictures and videos before the text, recordings and the videos' sound after it.
Result<std::vector<Part>> parts_in_order(const PromptOptions& options, std::string text) {
    std::vector<Part> parts;
    std::optional<std::vector<uint8_t>> from_stdin;
    const auto add = [&](Part::Kind kind, const std::vector<std::string>& files) -> Result<void> {
        for (const std::string& file : files) {
            LAP_ASSIGN(Part part, medium(kind, file, from_stdin));
            if (kind == Part::Kind::video) part.frames = options.frames;
            parts.push_back(std::move(part));
        }
        return {};
    };
    LAP_TRY(add(Part::Kind::image, options.images));
    LAP_TRY(add(Part::Kind::video, options.videos));
    if (!text.empty()) parts.push_back(Part::text(std::move(text)));
    LAP_TRY(add(Part::Kind::audio, options.audios));
    if (options.sound) LAP_TRY(add(Part::Kind::audio, options.videos));
    return parts;
}

Message plain(Role role, std::string text) {
    return {.role = role, .parts = {Part::text(std::move(text))}, .plain_string = true};
}

// What people write where the name of a picture or recording belongs, and what is none: - for standard input, pipes of
// the shell, URLs. Told with what to do instead, before a file of that name is looked for.
Result<void> check_media_name(const std::string& name) {
    constexpr size_t kShown = 40;  // of what may be a whole picture
    std::error_code ignored;
    if (name == "-")
        return usage("the media of messages are not read from standard input (-)", "write it to a file, and name that");
    if (name.starts_with("file://"))
        return usage(fmt::format("{} is a URL, not the name of a file", name),
                     fmt::format("give {}", name.substr(std::string_view("file://").size())));
    if (name.starts_with("http://") || name.starts_with("https://"))
        return usage(fmt::format("{} is a URL, and nothing is downloaded here", name), "fetch the file and give its path");
    if (name.starts_with("data:"))
        return usage(fmt::format("{}{} holds the data itself, not the name of a file", name.substr(0, kShown),
                                 name.size() > kShown ? "..." : ""),
                     "write it to a file, and name that");
    if (std::filesystem::is_fifo(name, ignored))
        return Error{Errc::io_error, fmt::format("cannot read {}: it is a pipe", name),
                     "pictures and recordings are read from regular files"};
    return {};
}

// The lists of parts that a prompt has.
std::vector<std::span<const Part>> parts_of(const PromptSource& source) {
    std::vector<std::span<const Part>> lists = {source.parts};
    for (const Message& message : source.conversation.messages) lists.emplace_back(message.parts);
    return lists;
}

}  // namespace

void add_prompt_options(Command& command, PromptOptions& options) {
    command.text("-p,--prompt", options.text, "TEXT", "the prompt; - reads standard input");
    command.text("-f,--file", options.file, "FILE", "the prompt, from a file; - reads standard input");
    command.flag("--raw", options.raw, "the prompt as it is, without the chat template");
    add_media_options(command, options, "; - is stdin");
    command.text("--messages", options.messages, "FILE", "a conversation in JSON instead of -p; - for stdin");
    command.text("--system", options.system, "TEXT", "the system prompt");
    add_tools_option(command, options);
    add_think_option(command, options);
}

void add_media_options(Command& command, PromptOptions& options, const std::string& also) {
    command.texts("--image", options.images, "FILE", "PNG, JPEG, WebP, GIF, before the text" + also);
    command.texts("--audio", options.audios, "FILE", "WAV, FLAC, Ogg, MP3, M4A, after the text");
    command.texts("--video", options.videos, "FILE", "MP4, MOV, MKV, WebM, AVI, before the text");
    command.count("--frames", options.frames.count, 1, 1 << 16, "of a video, evenly spread (default: the model's)");
    command.real("--fps", options.frames.fps, 0.001, 1000, "frames of a video per second, instead of --frames");
    command.flag("--sound", options.sound, "the sound of the videos too, after the text");
}

void add_think_option(Command& command, PromptOptions& options) {
    command.custom(
        "--think", "on|off|N", "let the model think before it answers, N tokens at most (default off)",
        [&options](const auto& option, const auto& text) { return take_think(options, option, text); }, {"on", "off"});
}

void add_tools_option(Command& command, PromptOptions& options) {
    command.text("--tools", options.tools, "FILE", "tools the model may call, as JSON declarations; - for stdin");
}

void add_schema_option(Command& command, PromptOptions& options) {
    command.text("--schema", options.schema, "FILE|JSON", "hold the answer to this JSON Schema; - for stdin");
}

bool names_a_prompt(const PromptOptions& options) {
    return options.text || options.file || options.then_stdin || options.messages || has_media(options);
}

void take_stdin_mark(PromptOptions& options, std::vector<std::string>& positionals) {
    options.then_stdin = std::erase(positionals, "-") > 0;
}

void note_unread_stdin(const Console& console, const PromptOptions& options) {
    const bool named = options.text || options.file || options.messages;
    if (named && uses_of_stdin(options) == 0 && stdin_holds_something())
        console.note("note: standard input was not read; a - after the prompt puts it behind the text");
}

namespace {

Result<PromptSource> read_source(const PromptOptions& options) {
    PromptSource source;
    source.raw = options.raw;
    if (options.messages) {
        LAP_ASSIGN(const std::string json, read_plain_text(*options.messages));
        LAP_ASSIGN(source.conversation, conversation_from_json(json));
    } else {
        LAP_ASSIGN(std::string text, read_text_prompt(options));
        const bool media = has_media(options);
        LAP_ASSIGN(std::vector<Part> parts, parts_in_order(options, text));
        if (options.raw) {
            source.parts = std::move(parts);
            return source;
        }
        auto& messages = source.conversation.messages;
        if (options.system) LAP_TRY(check_plain_text(*options.system, "--system"));
        if (options.system) messages.push_back(plain(Role::system, *options.system));
        messages.push_back(
            media ? Message{.role = Role::user, .parts = std::move(parts)}
                  : plain(Role::user, std::move(text)));
    }
    if (options.think_given) source.conversation.think = options.think == "on";
    if (options.tools) {
        if (!source.conversation.tools.empty())
            return usage("--tools was given, and the messages have tools", "leave one of them out");
        LAP_ASSIGN(const std::string json, read_plain_text(*options.tools));
        LAP_ASSIGN(source.conversation.tools, tools_from_json(json));
    }
    return source;
}

}  // namespace

Result<std::string> read_schema(const PromptOptions& options) {
    if (!options.schema) return std::string();
    if (options.schema->empty()) return usage("--schema is empty", kSchemaForms);
    Result<std::string> schema = is_json(*options.schema) ? Result<std::string>(*options.schema) : read_plain_text(*options.schema);
    if (!schema && schema.error().code == Errc::not_found)
        return Error{Errc::not_found, "--schema: " + schema.error().message, kSchemaForms};
    if (schema && schema->empty()) return usage("--schema names an empty text", "give a JSON Schema; {} allows any JSON text");
    return schema;
}

Result<PromptSource> read_prompt(const PromptOptions& options) {
    LAP_TRY(check_combination(options));
    LAP_ASSIGN(PromptSource source, read_source(options));
    LAP_ASSIGN(source.schema, read_schema(options));
    for (const auto& parts : parts_of(source))
        for (const Part& part : parts)
            if (!part.path.empty()) LAP_TRY(check_media_name(part.path.string()));
    for (const auto& parts : parts_of(source)) LAP_TRY(check_media(parts));
    return source;
}

Result<void> check_video_options(const PromptOptions& options) {
    const bool frames = options.frames.count.has_value(), fps = options.frames.fps.has_value();
    if (frames && fps) return usage("--frames excludes --fps", "give one of them");
    if (!options.videos.empty() || !(frames || fps || options.sound)) return {};
    return usage(fmt::format("{} needs --video", frames ? "--frames" : fps ? "--fps" : "--sound"),
                 options.messages ? "write \"frames\" or \"fps\" into the video's part of the messages" : "give --video FILE");
}

Result<void> check_medium(const Part& part) {
    LAP_TRY(check_media_name(part.path.string()));
    return check_media(std::span(&part, 1));
}

Inputs inputs_of(const PromptOptions& options, const PromptSource& source) {
    Inputs inputs;
    if (options.file) inputs.add("the file of the prompt", *options.file);
    if (options.messages) inputs.add("the file of the messages", *options.messages);
    if (options.tools) inputs.add("the file of the tools", *options.tools);
    if (options.schema && !is_json(*options.schema)) inputs.add("the file of the schema", *options.schema);
    for (const auto& parts : parts_of(source))
        for (const Part& part : parts)
            if (!part.path.empty()) inputs.add("a picture, recording or video of the prompt", part.path);
    return inputs;
}

Needs needs_of(const PromptSource& source) {
    Needs needs{.text = true};
    for (const auto& parts : parts_of(source))
        for (const Part& part : parts) {
            needs.image = needs.image || part.kind == Part::Kind::image || part.kind == Part::Kind::video;
            needs.audio = needs.audio || part.kind == Part::Kind::audio;
        }
    return needs;
}

void note_stored_system(const Console& console, const std::string& system) {
    constexpr size_t kShown = 60;
    console.note(fmt::format("note: the system prompt that is kept with the model: {} (--system TEXT replaces it)", in_quotes(system, kShown)));
}

PromptSource with_stored_system(const Console& console, const Engine& engine, PromptSource source) {
    const std::string& system = engine.info().system;
    auto& messages = source.conversation.messages;
    const auto instructs = [](const Message& m) { return m.role == Role::system || m.role == Role::developer; };
    if (system.empty() || source.raw || std::any_of(messages.begin(), messages.end(), instructs)) return source;
    note_stored_system(console, system);
    messages.insert(messages.begin(), plain(Role::system, system));
    return source;
}

Result<Prompt> render_prompt(const Engine& engine, const PromptSource& source, const ProgressSink& progress) {
    if (source.raw) return engine.raw(source.parts, true, progress);
    return engine.render(source.conversation, progress);
}

}  // namespace lapidary::cli
