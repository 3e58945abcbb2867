// `lapidary inspect`: what is in a model, and which kernels will serve its tensors.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "apps/cli/verbs.h"
#include "apps/common/options.h"
#include "apps/common/progress.h"
#include "apps/common/tables.h"
#include "base/try.h"
#include "lapidary/printable.h"
#include "lapidary/tools.h"

namespace lapidary::cli {
namespace {

using Json = nlohmann::ordered_json;

std::string shape_text(const std::vector<int64_t>& shape) {
    return fmt::format("[{}]", fmt::join(shape, ", "));
}

Json pairs_to_json(const std::vector<std::pair<std::string, std::string>>& pairs) {
    Json object = Json::object();
    for (const auto& [name, value] : pairs) object[name] = value;
    return object;
}

Json info_to_json(const ModelInfo& info) {
    return {{"name", info.name},
            {"source", info.source},
            {"type", info.type},
            {"isa", info.isa},
            {"layers", info.layers},
            {"hidden", info.hidden},
            {"vocab", info.vocab},
            {"context", info.context},
            {"model_context", info.model_context},
            {"parameters", info.parameters},
            {"weight_bytes", info.weight_bytes},
            {"kv_bytes_per_session", info.kv_bytes_per_session},
            {"kv", kv_name(info.kv)},
            {"inputs", {{"text", info.text}, {"image", info.image}, {"audio", info.audio}}},
            {"stop_ids", info.stop_ids},
            {"suppress_ids", info.suppress_ids},
            {"notes", info.notes}};
}

Json to_json(const ModelReport& report) {
    Json tensors = Json::array(), files = Json::array();
    for (const TensorReport& t : report.tensors)
        tensors.push_back({{"name", t.name},
                           {"type", t.type},
                           {"shape", t.shape},
                           {"bytes", t.bytes},
                           {"kernel", t.kernel},
                           {"file", t.file}});
    for (const auto& file : report.files) files.push_back(file.string());
    Json json = info_to_json(report.info);
    json["files"] = files;
    json["config"] = pairs_to_json(report.config);
    json["metadata"] = pairs_to_json(report.metadata);
    json["text_problem"] = report.text_problem;
    json["chat_template"] = report.chat_template;
    json["tensors"] = tensors;
    return json;
}

std::string inputs_text(const ModelInfo& info) {
    std::vector<std::string> inputs;
    if (info.text) inputs.push_back("text");
    if (info.image) inputs.push_back("pictures");
    if (info.audio) inputs.push_back("speech");
    return inputs.empty() ? "token ids only" : fmt::format("{}", fmt::join(inputs, ", "));
}

std::string summary(const ModelReport& report) {
    const ModelInfo& info = report.info;
    std::string page = fmt::format("{} · {} · {} · {} parameters · {} of weights\n", printable(info.name), info.source,
                                   info.type, human_count(info.parameters), human_bytes(info.weight_bytes));
    page += fmt::format("inputs: {} · context {} · KV cache {} for {} tokens in {}\n", inputs_text(info),
                        info.model_context, human_bytes(info.kv_bytes_per_session), info.context,
                        kv_name(info.kv));
    if (!report.text_problem.empty()) page += fmt::format("no text: {}\n", printable(report.text_problem));
    for (const auto& file : report.files) page += fmt::format("file: {}\n", printable(file.string()));
    for (const std::string& note : info.notes) page += fmt::format("note: {}\n", printable(note));
    return page;
}

std::string pairs_table(const std::vector<std::pair<std::string, std::string>>& pairs) {
    Table table({Align::left, Align::left});
    for (const auto& [name, value] : pairs) table.row({name, value});
    return table.text();
}

std::string tensors_table(const std::vector<TensorReport>& tensors) {
    Table table({Align::left, Align::left, Align::left, Align::right, Align::left});
    table.row({"tensor", "type", "shape", "bytes", "kernel"});
    for (const TensorReport& t : tensors)
        table.row({t.name, t.type, shape_text(t.shape), human_bytes(t.bytes), t.kernel});
    return table.text();
}

// "layers.17.mlp.up_proj" -> "layers.*.mlp.up_proj": the same tensor of every layer is one line.
std::string without_numbers(const std::string& name) {
    std::string pattern;
    for (size_t i = 0; i < name.size(); ++i) {
        const bool number = name[i] >= '0' && name[i] <= '9' && (i == 0 || name[i - 1] == '.');
        if (!number) {
            pattern += name[i];
            continue;
        }
        const size_t end = std::min(name.find_first_not_of("0123456789", i), name.size());
        pattern += end == name.size() || name[end] == '.' ? "*" : name.substr(i, end - i);
        i = end - 1;
    }
    return pattern;
}

std::string groups_table(const std::vector<TensorReport>& tensors) {
    struct Group {
        size_t count = 0;
        uint64_t bytes = 0;
    };
    using Key = std::vector<std::string>;  // name pattern, type, shape, kernel
    std::vector<Key> order;
    std::map<Key, Group> groups;
    for (const TensorReport& t : tensors) {
        Key key{without_numbers(t.name), t.type, shape_text(t.shape), t.kernel};
        Group& group = groups[key];
        if (group.count++ == 0) order.push_back(std::move(key));
        group.bytes += t.bytes;
    }
    Table table({Align::right, Align::left, Align::left, Align::left, Align::right, Align::left});
    table.row({"count", "tensor", "type", "shape", "bytes", "kernel"});
    for (const Key& key : order) {
        const Group& group = groups[key];
        table.row({fmt::format("{}", group.count), key[0], key[1], key[2], human_bytes(group.bytes), key[3]});
    }
    return table.text();
}

}  // namespace

Result<int> inspect_verb(Program& program, Args args) {
    Console& console = program.console;
    ModelOptions model;
    EngineChoices choices;
    bool tensors = false, metadata = false, chat_template = false, verify_sums = false;
    Command command("inspect", "[MODEL] [options]", "What is in a model, and which kernels will serve it.");
    command.flag("--tensors", tensors, "every tensor by name, not one line per kind");
    command.flag("--metadata", metadata, "the file's own keys");
    command.flag("--template", chat_template, "the file's chat template");
    command.flag("--verify", verify_sums, "read all of a .lapidary file and compare its checksums");
    add_model_options(command, model);
    add_engine_options(command, choices);
    add_output_options(command, console);
    LAP_ASSIGN(const bool go, command.parse(args));
    if (!go) return program.show(command.page());
    LAP_ASSIGN(const Arguments arguments, split_positionals(model, false));
    LAP_ASSIGN(const EngineOptions engine_opts, engine_options(console, choices, model, arguments.model));
    LAP_ASSIGN(const ModelReport report, inspect(engine_opts));
    std::optional<uint64_t> verified;
    if (verify_sums) {
        const Interrupt::Scope stoppable(program.interrupt);
        Progress progress(console, program.interrupt);
        LAP_ASSIGN(const FoundModel found, find_model(engine_opts.model));
        LAP_ASSIGN(verified, verify(found.path, progress.sink()));
    }
    if (console.json) {
        Json json = to_json(report);
        if (verified) json["verified_bytes"] = *verified;
        return console.write_json(json), 0;
    }
    std::string page = summary(report);
    if (verified) page += fmt::format("checksums: right, {} compared\n", human_bytes(*verified));
    page += fmt::format("\n{}\n", pairs_table(report.config));
    page += tensors ? tensors_table(report.tensors) : groups_table(report.tensors);
    if (metadata) page += fmt::format("\n{}", pairs_table(report.metadata));
    if (chat_template) page += "\n" + report.chat_template + "\n";
    console.write_page(page);
    return 0;
}

}  // namespace lapidary::cli
