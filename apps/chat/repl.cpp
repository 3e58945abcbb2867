// See repl.h. Answers and what was asked for go to stdout, everything else to stderr, errors of a turn in one line.
#include "apps/chat/repl.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "apps/common/arguments.h"
#include "apps/common/files.h"
#include "apps/common/options.h"
#include "apps/common/progress.h"
#include "apps/common/reply_output.h"
#include "base/try.h"

namespace lapidary::cli {
namespace {

using Json = nlohmann::ordered_json;

std::string text_of(const Json& value) { return value.is_string() ? value.get<std::string>() : value.dump(); }

// Media are no more than their files' names, and those are not for the file of the history.
bool names_media(const std::string& entry) {
    return entry.starts_with("/image") || entry.starts_with("/video") || entry.starts_with("/audio");
}

bool is_saved_chat(const std::filesystem::path& file) {
    constexpr std::string_view kMagic = "LAPISESS";
    return beginning_of(file, kMagic.size()) == kMagic;
}

}  // namespace

Result<int> Repl::run(LineReader& reader) {
    while (!leave_) {
        const Result<Typed> typed = read_entry(reader, prompt());
        if (!typed) {
            fail(typed.error());
        } else if (typed->kind == Typed::Kind::end) {
            leave(0);
        } else if (typed->kind == Typed::Kind::too_long) {
            // Its rest may have no end, so nothing behind it is waited for.
            const Error error{Errc::io_error, fmt::format("a message is longer than {} bytes", kMaxTextBytes)};
            fail(error);
            leave(exit_code(error.code));
        } else if (typed->kind == Typed::Kind::stopped) {
            // Ctrl-C takes a line back, and leaves where there is none; in a pipe, or from `kill`, it always does.
            Interrupt& interrupt = program_.interrupt;
            const bool ends = !at_terminal_ || interrupt.asks_to_end() || !typed->had_text;
            if (ends) leave(interrupt.exit_code());
            interrupt.rearm();
        } else {
            take_entry(reader, *typed);
        }
        if (console_.reader_gone()) leave(0);
        LAP_TRY(console_.status());
    }
    return *leave_ != 0 || at_terminal_ ? *leave_ : first_error_;
}

// A meter of the context, and how much waits to be sent.
std::string Repl::prompt() const {
    const double share = 100.0 * chat_.context() / std::max(engine_.info().context, 1u);
    return fmt::format("{:.0f} %{} > ", share, outbox_.size() > 0 ? fmt::format(" +{}", outbox_.size()) : "");
}

void Repl::take_entry(LineReader& reader, const Typed& typed) {
    const std::string& entry = typed.text;
    if (entry.find_first_not_of(" \t\r\n") == entry.npos) return;
    if (const size_t nul = entry.find('\0'); nul != entry.npos)
        return fail({Errc::invalid_argument, fmt::format("the line is no text: its byte at offset {} is NUL", nul), "give text in UTF-8"});
    reader.remember(entry, !names_media(entry));
    if (typed.literal || !entry.starts_with('/')) return say(entry);
    const Result<Order> order = read_order(entry);
    const Result<void> done = order ? obey(*order) : order.error();
    if (!done) return fail(done.error());
    const Json told = console_.json ? outcome(*order) : Json();
    if (!told.is_null()) console_.write_json(told);
}

void Repl::say(const std::string& text) {
    if (const Result<void> checked = check_text(text, "the message"); !checked) return fail(checked.error());
    Outbox waiting = outbox_;
    Message message = outbox_.take(text);
    const auto failed = answer([&](const GenerateOptions& options, const TokenSink& sink) { return chat_.send(std::move(message), options, sink); });
    // What was not at fault goes with the next message.
    if (failed == Errc::cancelled || failed == Errc::context_full) outbox_ = std::move(waiting);
}

std::optional<Errc> Repl::answer(const Ask& ask) {
    GenerateOptions options = settings_.generate;
    options.cancel = program_.interrupt.token();
    Progress progress(console_, program_.interrupt);
    uint64_t computed = 0;
    const ProgressSink media = progress.sink(Progress::Unit::work), prompt = progress.sink(Progress::Unit::tokens);
    options.progress = [&](std::string_view stage, uint64_t done, uint64_t total) {
        if (stage != "prompt") return media(stage, done, total);
        computed = done;
        return prompt(stage, done, total);
    };
    ReplyStream stream(console_, settings_.show_thoughts);
    const TokenSink sink = [&stream](const Token& token) { return stream.take(token); };
    const Result<Reply> reply = ask(options, console_.json ? TokenSink{} : sink);
    progress.clear();
    if (!console_.json) stream.finish(reply.has_value() && !reply->tokens.empty());
    if (reply)
        after_reply(*reply, computed);
    else if (reply.error().code == Errc::cancelled && at_terminal_ && !program_.interrupt.asks_to_end())
        note("stopped while media were read; nothing was sent");
    else if (reply.error().code == Errc::context_full && !chat_.history().empty())
        fail({Errc::context_full, reply.error().message, "/clear or /undo make room"});
    else
        fail(reply.error());
    Interrupt& interrupt = program_.interrupt;
    if (interrupt.requested() && (!at_terminal_ || interrupt.asks_to_end())) leave(interrupt.exit_code());
    interrupt.rearm();
    return reply ? std::nullopt : std::optional(reply.error().code);
}

void Repl::after_reply(const Reply& reply, uint64_t computed) {
    if (console_.json)
        console_.write_json(reply_json(reply, engine_.info()));
    else
        show_timing(console_, reply, computed, engine_.info());
    note_flaws(console_, reply, engine_.info(), true);
}

Result<void> Repl::obey(const Order& order) {
    const std::string& argument = order.argument;
    switch (order.command) {
        case ChatCommand::image: return outbox_.add_medium(Part::Kind::image, argument);
        case ChatCommand::video: return outbox_.add_medium(Part::Kind::video, argument);
        case ChatCommand::audio: return outbox_.add_medium(Part::Kind::audio, argument);
        case ChatCommand::read: return outbox_.add_text(argument);
        case ChatCommand::clear: outbox_.clear(); return chat_.clear();
        case ChatCommand::undo: return chat_.undo();
        case ChatCommand::regen:
            answer([&](const GenerateOptions& options, const TokenSink& sink) { return chat_.regenerate(options, sink); });
            return {};
        case ChatCommand::save: return save(argument);
        case ChatCommand::load: return load(argument);
        case ChatCommand::set: return set(argument);
        case ChatCommand::system:
            LAP_TRY(check_text(argument, "the system prompt"));
            chat_.options().system = argument;
            return {};
        case ChatCommand::think: return change_thinking(settings_, chat_.options().think, argument);
        case ChatCommand::tokens:
            show(fmt::format("{} of {} tokens of the context\n", chat_.context(), engine_.info().context), "context",
                 {{"used", chat_.context()}, {"size", engine_.info().context}});
            return {};
        case ChatCommand::show: show_all(); return {};
        case ChatCommand::help: {
            Json names = Json::array();
            for (const CommandForm& form : kChatCommands)
                if (form.listed) names.push_back("/" + std::string(form.name));
            show(commands_page(console_.help_width()), "commands", names);
            return {};
        }
        case ChatCommand::exit: leave(0); return {};
    }
    return {};
}

// For programs: what was done. Null where the command told it, or tells nothing.
Json Repl::outcome(const Order& order) {
    switch (order.command) {
        case ChatCommand::image:
        case ChatCommand::video:
        case ChatCommand::audio:
        case ChatCommand::read: return {{"attached", order.argument}};
        case ChatCommand::clear: return {{"cleared", true}};
        case ChatCommand::undo: return {{"undone", true}};
        case ChatCommand::save: return {{"saved", order.argument}};
        case ChatCommand::load:
            return {{"loaded", order.argument}, {"messages", chat_.history().size()}, {"context", chat_.context()}};
        case ChatCommand::system: return {{"system", chat_.options().system}};
        case ChatCommand::set:
            if (order.argument.empty()) return {};
            return {{"settings", settings_json(settings_, chat_.options().think)}};
        case ChatCommand::think: return {{"settings", settings_json(settings_, chat_.options().think)}};
        case ChatCommand::regen:
        case ChatCommand::tokens:
        case ChatCommand::show:
        case ChatCommand::help:
        case ChatCommand::exit: return {};
    }
    return {};
}

Result<void> Repl::save(const std::string& file) {
    std::error_code ignored;
    if (file == "-") return usage("/save needs the name of a file, and - is none", "./- is one of that name");
    if (std::filesystem::is_directory(file, ignored))
        return Error{Errc::io_error, fmt::format("cannot write {}: it is a folder", file), "name a file in it"};
    LAP_TRY(inputs_.check("/save", file));
    if (const auto free = check_overwrite(file, {.kind = "a saved chat", .same = is_saved_chat}, false); !free)
        return usage(free.error().message, "give another name");
    LAP_TRY(chat_.save(file));
    note(fmt::format("saved to {}", file));
    return {};
}

Result<void> Repl::load(const std::string& file) {
    ChatOptions options;
    Result<Chat> loaded = Chat::load(engine_, file, std::move(options));
    if (!loaded) {
        Error error = loaded.error();
        if (error.hint.starts_with("set EngineOptions::")) error.hint = "start the chat anew: " + error.hint;
        return error;
    }
    chat_ = std::move(*loaded);
    outbox_.clear();
    note(fmt::format("{} messages, {} tokens", chat_.history().size(), chat_.context()));
    return {};
}

Result<void> Repl::set(const std::string& words) {
    if (!words.empty()) return change_setting(settings_, words);
    const Json values = settings_json(settings_, chat_.options().think);
    std::string page;
    for (const auto& [name, value] : values.items())
        page += fmt::format("  {:<11} {}\n", name, value.is_null() ? "the model's own" : text_of(value));
    show(page, "settings", values);
    return {};
}

void Repl::show_all() {
    const ModelInfo& info = engine_.info();
    const std::string& system = chat_.options().system.empty() ? info.system : chat_.options().system;
    Json json = {{"model", info.name},
                 {"type", info.type},
                 {"context", {{"used", chat_.context()}, {"size", info.context}}},
                 {"messages", chat_.history().size()},
                 {"system", system},
                 {"waiting", outbox_.names()},
                 {"settings", settings_json(settings_, chat_.options().think)}};
    std::string page = fmt::format("  model       {} · {} · {}\n  context     {} of {} tokens\n  messages    {}\n", info.name, info.type,
                                   info.gpu.empty() ? info.isa : info.gpu, chat_.context(), info.context, chat_.history().size());
    if (!system.empty()) page += fmt::format("  system      {}\n", system);
    for (const std::string& name : outbox_.names()) page += fmt::format("  waiting     {}\n", name);
    for (const auto& [name, value] : json["settings"].items())
        if (!value.is_null()) page += fmt::format("  {:<11} {}\n", name, text_of(value));
    show(page, "show", json);
}

void Repl::show(const std::string& page, const char* key, const Json& json) {
    if (console_.json)
        console_.write_json({{key, json}});
    else
        console_.write_page(page);
}

void Repl::note(const std::string& line) const { console_.note(line); }

void Repl::fail(const Error& error) {
    const int code = console_.fail(error);
    if (first_error_ == 0) first_error_ = code;
}

void Repl::leave(int code) {
    if (!leave_) leave_ = code;
}

}  // namespace lapidary::cli
