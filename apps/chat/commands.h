// What a chat obeys: lines that begin with a slash. One table for reading, help and completion.
#pragma once

#include <array>
#include <string>
#include <string_view>

#include "lapidary/result.h"

namespace lapidary::cli {

enum class ChatCommand { image, audio, video, read, clear, undo, regen, save, load, set, system, think, tokens, show, help, exit };
enum class Argument { none, path, setting, think, text };

struct CommandForm {
    std::string_view name;      // without the slash
    ChatCommand command;
    Argument argument;
    std::string_view metavar, help;
    bool listed = true;         // other words for the same are not
};
inline constexpr std::array kChatCommands = std::to_array<CommandForm>({
    {"image", ChatCommand::image, Argument::path, "FILE", "a picture for the next message, before its text"},
    {"video", ChatCommand::video, Argument::path, "FILE", "a video, before the text"},
    {"audio", ChatCommand::audio, Argument::path, "FILE", "a recording, after the text"},
    {"read", ChatCommand::read, Argument::path, "FILE", "a text file, before what you type next"},
    {"regen", ChatCommand::regen, Argument::none, "", "another answer to the last message"},
    {"undo", ChatCommand::undo, Argument::none, "", "forget the last message and its answer"},
    {"clear", ChatCommand::clear, Argument::none, "", "forget the conversation"},
    {"save", ChatCommand::save, Argument::path, "FILE", "the conversation and what was computed, to go on later"},
    {"load", ChatCommand::load, Argument::path, "FILE", "go on with a saved one"},
    {"set", ChatCommand::set, Argument::setting, "NAME VALUE", "a setting; without NAME all of them"},
    {"system", ChatCommand::system, Argument::text, "TEXT", "the system prompt; without TEXT the model's own"},
    {"think", ChatCommand::think, Argument::think, "on|off|N|show|hide", "thoughts: whether, how many tokens, shown or not"},
    {"tokens", ChatCommand::tokens, Argument::none, "", "how much of the context is taken"},
    {"show", ChatCommand::show, Argument::none, "", "the model, the settings and what waits to be sent"},
    {"help", ChatCommand::help, Argument::none, "", "this list; /? too"},
    {"exit", ChatCommand::exit, Argument::none, "", "leave; Ctrl-D too"},
    {"?", ChatCommand::help, Argument::none, "", "", false},
    {"quit", ChatCommand::exit, Argument::none, "", "", false},
    {"bye", ChatCommand::exit, Argument::none, "", "", false},
});

struct Order {
    ChatCommand command;
    std::string argument;  // trimmed; of a path without quotes, ~/ replaced
};
// `line` begins with a slash. A blank in front makes it a text to send.
Result<Order> read_order(std::string_view line);
std::string commands_page(size_t width);
// ~/x in the home folder; without the quotes that a terminal puts around a file dropped on it.
std::string path_of(std::string_view word);

}  // namespace lapidary::cli
