#!/usr/bin/env python3
"""Checks that tests mirror sources: tests/<room>/<file>_test.cpp tests <room>/<file>.cpp (or .h, .inl), and every
source file with code of its own has such a test or stands below with the test that covers it. Names of tests must be such
that ctest finds them.

Prints every violation; exit code 1 when there is one."""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
ROOMS = ("base", "kernels", "runtime", "model")

# Source (without suffix) -> the test file that covers it, and why it has none of its own.
COVERED_ELSEWHERE = {
    "kernels/activation": ("kernels/rows_test.cpp", "element-wise kernels are tested together"),
    "kernels/norm": ("kernels/rows_test.cpp", "element-wise kernels are tested together"),
    "kernels/rope": ("kernels/rows_test.cpp", "element-wise kernels are tested together"),
    "kernels/kv": ("kernels/attention_test.cpp", "rows are stored and attended to in one test"),
    "kernels/cpu": ("kernels/select_test.cpp", "detection and selection are checked against each other"),
    "kernels/scratch": ("kernels/select_test.cpp", "two sizes"),
    "kernels/isa_avx2": ("kernels/select_test.cpp", "only includes; every kernel test runs every level"),
    "kernels/isa_avx512": ("kernels/select_test.cpp", "only includes; every kernel test runs every level"),
    "kernels/isa_neon": ("kernels/select_test.cpp", "only includes; every kernel test runs every level"),
    "kernels/avx2/panel_blocks": ("kernels/panels_test.cpp", "every panel test runs every level, bit for bit"),
    "kernels/avx2/panel_half": ("kernels/panels_test.cpp", "every panel test runs every level, bit for bit"),
    "kernels/avx2/panel_k": ("kernels/panels_test.cpp", "every panel test runs every level, bit for bit"),
    "kernels/neon/panel_half": ("kernels/panels_test.cpp", "every panel test runs every level, bit for bit"),
    "kernels/neon/panels": ("kernels/panels_test.cpp", "every panel test runs every level, bit for bit"),
    "kernels/neon/quantize_panel": ("kernels/panels_test.cpp", "every panel test runs every level, bit for bit"),
    "kernels/neon_dot/panels": ("kernels/panels_test.cpp", "every panel test runs every level, bit for bit"),
    "kernels/neon_i8mm/panels": ("kernels/panels_test.cpp", "every panel test runs every level, bit for bit"),
    "kernels/panel_pack": ("kernels/panels_test.cpp", "there and back"),
    "kernels/panel_matmul": ("kernels/panels_test.cpp", "the reference against double"),
    "kernels/quantize_panel": ("kernels/panels_test.cpp", "the int8 image against its definition"),
    "kernels/avx2/quantize_panel": ("kernels/panels_test.cpp", "every panel test runs every level, bit for bit"),
    "kernels/avxvnni/panel_blocks": ("kernels/panels_test.cpp", "a build with emulated instructions is tested like a level"),
    "kernels/avxvnni/panel_k": ("kernels/panels_test.cpp", "a build with emulated instructions is tested like a level"),
    "kernels/avx512/panel_blocks": ("kernels/panels_test.cpp", "every panel test runs every level, bit for bit"),
    "kernels/avx512/panel_half": ("kernels/panels_test.cpp", "every panel test runs every level, bit for bit"),
    "kernels/avx512/panel_k": ("kernels/panels_test.cpp", "every panel test runs every level, bit for bit"),
    "kernels/avx512/quantize_panel": ("kernels/panels_test.cpp", "every panel test runs every level, bit for bit"),
    "kernels/avx512_bf16/panel_bf16": ("kernels/panels_test.cpp", "against double on rounded activations"),
    "kernels/avx512_bf16/attention": ("kernels/attention_test.cpp", "every attention test runs every table"),
    "kernels/avx2/peak": ("kernels/peak_test.cpp", "one loop per level"),
    "kernels/avxvnni/peak": ("kernels/peak_test.cpp", "one loop per level"),
    "kernels/avx512/peak": ("kernels/peak_test.cpp", "one loop per level"),
    "kernels/neon/peak": ("kernels/peak_test.cpp", "one loop per level"),
    "kernels/neon_dot/peak": ("kernels/peak_test.cpp", "one loop per level"),
    "kernels/neon_i8mm/peak": ("kernels/peak_test.cpp", "one loop per level"),
    "model/audio": ("model/forward_test.cpp", "sound rows against goldens"),
    "model/vision": ("model/forward_test.cpp", "picture rows against goldens"),
    "model/layer": ("model/forward_test.cpp", "a layer shows in the goldens of the forward pass"),
    "model/tools/stored_models": ("cli/list_test.py", "stores in a home that is made up"),
    "model/tools/profile": ("cli/profile_test.py", "rows of the recorder, which has a test of its own"),
    "model/tools/bench/runner": ("model/tools/bench_test.cpp", "whole benches"),
    "model/scores": ("model/forward_test.cpp", "the head shows in the goldens of the forward pass"),
    "model/stage": ("model/engine_state_test.cpp", "engines cut at every layer"),
    "model/workspace": ("model/forward_test.cpp", "buffers only"),
    "model/load/bind": ("model/load/loader_test.cpp", "names and shapes of whole checkpoints"),
    "model/load/config_check": ("model/load/hf_loader_test.cpp", "bad settings of whole checkpoints"),
    "model/load/float_store": ("model/load/loader_test.cpp", "memory of the loaders"),
    "model/load/sampling_defaults": ("model/load/hf_generation_test.cpp", "every kind of value in a file of settings"),
    "model/load/gguf_config": ("model/load/gguf_loader_test.cpp", "settings of whole files"),
    "model/load/gguf_fields": ("model/load/gguf_loader_test.cpp", "settings of whole files"),
    "model/load/hf_config": ("model/load/hf_loader_test.cpp", "settings of whole folders"),
    "model/load/json_fields": ("model/load/hf_loader_test.cpp", "settings of whole folders"),
    "model/packing/quantize_k": ("model/packing/quantize_test.cpp", "judged with the other quantisers"),
    "model/tools/rates/calibrator": ("model/tools/calibrate_test.cpp", "rates and the engine of layers that is timed"),
    "model/load/report": ("model/tools/inspect_test.cpp", "what inspect prints"),
    "model/load/special_ids": ("model/load/gguf_loader_test.cpp", "ids of whole files"),
    "model/load/tensor_source": ("model/load/loader_test.cpp", "lookups of the loaders"),
    "model/load/text_files": ("model/load/lapidary_loader_test.cpp", "two places for the same texts"),
    "model/synth/memory": ("model/synth/synth_test.cpp", "parts of one writer"),
    "model/synth/plan": ("model/synth/synth_test.cpp", "parts of one writer"),
    "model/synth/random": ("model/synth/synth_test.cpp", "parts of one writer"),
    "model/media/ffmpeg/module": ("model/media/video_file_test.cpp", "the module is opened as a whole"),
    "model/media/ffmpeg/sound": ("model/media/audio_file_test.cpp", "the module is opened as a whole"),
    "model/media/ffmpeg/stream": ("model/media/video_file_test.cpp", "the module is opened as a whole"),
    "model/media/ffmpeg/video": ("model/media/video_file_test.cpp", "the module is opened as a whole"),
    "model/media/ffmpeg_module": ("model/media/video_file_test.cpp", "that it is missing: tests/cli/media_test.py"),
    "model/media/gif_decoder": ("model/media/image_file_test.cpp", "decoders are tested through the one door to them"),
    "model/media/track_reader": ("model/media/audio_file_test.cpp", "m4a and the sound of videos"),
    "model/media/webp_decoder": ("model/media/image_file_test.cpp", "decoders are tested through the one door to them"),
    "model/media/jpeg_decoder": ("model/media/image_file_test.cpp", "decoders are tested through the one door to them"),
    "model/media/png_decoder": ("model/media/image_file_test.cpp", "decoders are tested through the one door to them"),
    "model/media/resample": ("model/media/audio_file_test.cpp", "recordings at other rates"),
    "model/media/sndfile_reader": ("model/media/audio_file_test.cpp", "WAV, FLAC and Ogg through the one door to them"),
    "model/text/piece_index": ("model/text/vocabulary_test.cpp", "the index of the vocabulary"),
    "model/text/schema/class_trie": ("model/text/schema/token_mask_test.cpp", "masks of strings with patterns"),
    "model/text/schema/dfa": ("model/text/schema/grammar_builder_test.cpp", "patterns, lengths and bounds of schemas"),
    "model/text/schema/formats": ("model/text/schema/grammar_builder_test.cpp", "formats of schemas"),
    "model/text/schema/grammar_writer": ("model/text/schema/grammar_builder_test.cpp", "whole grammars"),
    "model/text/schema/matcher": ("model/text/schema/grammar_builder_test.cpp", "texts against whole grammars"),
    "model/text/schema/nfa": ("model/text/schema/grammar_builder_test.cpp", "patterns of schemas"),
    "model/text/schema/number_range": ("model/text/schema/grammar_builder_test.cpp", "bounds of schemas"),
    "model/text/schema/regex": ("model/text/schema/grammar_builder_test.cpp", "patterns of schemas"),
    "model/text/schema/schema_facts": ("model/text/schema/grammar_builder_test.cpp", "whole schemas"),
    "model/text/schema/token_trie": ("model/text/schema/token_mask_test.cpp", "masks against every token by itself"),
    "model/text/tokenizer_reader": ("model/text/vocabulary_test.cpp", "a way to read a vocabulary"),
    "model/text/tokenizer_settings": ("model/text/vocabulary_test.cpp", "settings of whole files"),
    "model/text/vocabulary_json": ("model/text/vocabulary_test.cpp", "a way to read a vocabulary"),
    "runtime/split_device": ("model/engine_state_test.cpp", "models whose matrices are shared at several boundaries"),
    "runtime/cpu/cpu_scratch": ("runtime/cpu/cpu_device_test.cpp", "sizes, of steps of every shape"),
    "runtime/cpu/cpu_weights": ("model/load/place_test.cpp", "whole models at every level"),
    "runtime/cpu/make_cpu_device": ("model/engine_test.cpp", "every engine is made by it"),
    "runtime/cpu/cpu_matmul": ("runtime/cpu/cpu_device_test.cpp", "operations of the device"),
    "runtime/vulkan/timed_runs": ("runtime/vulkan/race_test.cpp", "what a race measures by"),
    "runtime/vulkan/context": ("runtime/vulkan/memory_test.cpp", "what is free; all tests of shaders open one"),
    "runtime/vulkan/self_test_attention": ("runtime/vulkan/self_test_test.cpp", "every self-test, beside shaders that are right and wrong"),
    "runtime/vulkan/self_test_operations": ("runtime/vulkan/self_test_test.cpp", "every self-test, beside shaders that are right and wrong"),
    "runtime/vulkan/self_test_products": ("runtime/vulkan/self_test_test.cpp", "every self-test, beside shaders that are right and wrong"),
    "runtime/vulkan/vulkan_submits": ("runtime/vulkan/vulkan_device_test.cpp", "a step from its beginning to its end"),
    "runtime/vulkan/without_vulkan": ("cli/usage_test.py", "a GPU asked for is an error in every build"),
    "runtime/file/gguf_parse": ("runtime/file/gguf_test.cpp", "a file is parsed when it is opened"),
    "runtime/file/lapidary_directory": ("runtime/file/lapidary_file_test.cpp", "the bytes in front of a file"),
}

# Test (without _test.cpp) -> what it tests, where no single source file carries its name.
TESTS_OF_MANY = {
    "kernels/check_close": "tests/support/check_close.h: the judge of the kernel tests",
    "model/held_replies": "replies held to schemas and tools: generate.cpp and text/reply_guide.cpp on devices of every kind",
    "model/long_context": "a context of the full length, in minutes: forward.cpp and kv_cache.cpp",
    "model/result": "include/lapidary/result.h, and what the public classes keep to themselves",
    "model/vulkan/gpu": "whole models on a Vulkan device that is lost; only in builds with Vulkan",
    "model/vulkan/placement": "one model on the CPU and a Vulkan device; only in builds with Vulkan",
    "model/vulkan/shared_cache": "a cache on which a Vulkan device and the CPU take turns; only in builds with Vulkan",
    "model/text/text_test_support": "the support header of its folder",
}


def name_of(path):
    """kernels/ref/matmul.cpp and kernels/simd/matmul.inl are one family, kernels/matmul: one test, every level."""
    name = str(path.relative_to(ROOT).with_suffix(""))
    return name.replace("kernels/ref/", "kernels/").replace("kernels/simd/", "kernels/")


def main():
    problems = []
    sources = {name_of(p) for room in ROOMS for suffix in ("cpp", "h", "inl")
               for p in (ROOT / room).rglob(f"*.{suffix}")}
    compiled = {name_of(p) for room in ROOMS for p in (ROOT / room).rglob("*.cpp")}
    tests = {str(p.relative_to(ROOT / "tests"))[:-len("_test.cpp")]
             for room in ROOMS for p in (ROOT / "tests" / room).rglob("*_test.cpp")}
    for test in sorted(tests - sources - set(TESTS_OF_MANY)):
        problems.append(f"tests/{test}_test.cpp mirrors no file {test}.cpp, .h or .inl")
    for source in sorted(compiled - tests - set(COVERED_ELSEWHERE)):
        problems.append(f"{source}.cpp has no tests/{source}_test.cpp")
    for source, (test, _reason) in sorted(COVERED_ELSEWHERE.items()):
        if source not in compiled:
            problems.append(f"the list names {source}, which is no source file")
        if source in tests:
            problems.append(f"the list names {source}, which has a test of its own")
        if not (ROOT / "tests" / test).is_file():
            problems.append(f"{source} is said to be covered by tests/{test}, which is missing")
    for test in sorted(set(TESTS_OF_MANY) - tests):
        problems.append(f"the list names tests/{test}_test.cpp, which is missing")
    for path in (ROOT / "tests").rglob("*_test.cpp"):
        for name in re.findall(r'TEST_CASE\("((?:[^"\\]|\\.)*)"', path.read_text()):
            if ";" in name:  # ctest would make two tests of it that run nothing
                problems.append(f"{path.relative_to(ROOT)}: a test's name holds a semicolon: {name}")
    for problem in problems:
        print(problem)
    print(f"check_tests_mirror: {len(compiled)} sources, {len(tests)} tests, {len(problems)} violations")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
