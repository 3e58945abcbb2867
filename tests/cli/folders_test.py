"""Hugging Face folders as others save them: what is obeyed, what is refused, what is said, what does not matter."""

import json
import os
import unittest

from support import SAMPLES, TINY, CliTest, lapidary, main

ASK = ["--temp", "0", "-n", "12", "-p", "Who are you?"]
ANSWER = "I am a tiny demo model of the Gemma 4 architecture."
EMBEDDING = "model.language_model.embed_tokens.weight"


def settings(name):
    return json.loads((TINY / f"{name}.json").read_text())


def tiny_weights():
    """name -> (dtype, shape, bytes)"""
    raw = (TINY / "model.safetensors").read_bytes()
    size = int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8:8 + size])
    header.pop("__metadata__", None)
    return {name: (t["dtype"], t["shape"], raw[8 + size + t["data_offsets"][0]:8 + size + t["data_offsets"][1]])
            for name, t in header.items()}


def safetensors(weights):
    header, at = {}, 0
    for name, (dtype, shape, data) in weights.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + len(data)]}
        at += len(data)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + b"".join(data for _, _, data in weights.values())


class Folders(CliTest):
    def copy(self, name, **files):
        """Like the bundled model; files: stem of a JSON file -> its new content, None to leave it out."""
        folder = self.tiny_copy(name)
        for stem, content in files.items():
            path = folder / f"{stem}.json"
            path.unlink(missing_ok=True)
            if content is not None:
                path.write_text(json.dumps(content))
        return folder

    def notes(self, *args):
        """What is said of the files; that a reply was cut is no matter of theirs."""
        done = lapidary(*args)
        self.assertEqual(done.returncode, 0, done.stderr.decode())
        return [line[len("note: "):] for line in done.stderr.decode().splitlines()
                if line.startswith("note: ") and "the reply was cut" not in line]

    def answers(self, folder):
        self.assertTrue(self.ok("run", folder, *ASK).startswith(ANSWER[:40]))


class Heads(Folders):
    def with_head(self, name, change, **config):
        weights = tiny_weights()
        dtype, shape, data = weights[EMBEDDING]
        weights["lm_head.weight"] = (dtype, shape, change(data))
        folder = self.copy(name, config={**settings("config"), **config})
        (folder / "model.safetensors").unlink()
        (folder / "model.safetensors").write_bytes(safetensors(weights))
        return folder

    def test_trained_head_is_refused(self):
        def nudged(data):
            return data[:1000] + bytes([data[1000] ^ 1]) + data[1001:]
        for tied in (True, False):
            folder = self.with_head(f"nudged{tied}", nudged, tie_word_embeddings=tied)
            error = self.fails(3, "run", folder, *ASK, says="lm_head.weight")
            self.assertEqual(error["code"], "unsupported_model")
            self.fails(3, "pack", folder, folder.parent / "nudged.lapidary", says="lm_head.weight")
        self.assertFalse((folder.parent / "nudged.lapidary").exists())

    def test_head_that_is_the_embedding_changes_nothing(self):
        for tied in (True, False):
            folder = self.with_head(f"equal{tied}", lambda data: data, tie_word_embeddings=tied)
            self.answers(folder)
        packed = folder.parent / "equal.lapidary"
        self.ok("pack", folder, packed)
        self.answers(packed)

    def test_untied_without_a_head(self):
        folder = self.copy("untied", config={**settings("config"), "tie_word_embeddings": False})
        self.fails(3, "run", folder, *ASK, says="tie_word_embeddings")


class Settings(Folders):
    def test_do_sample_false_is_greedy(self):
        folder = self.copy("greedy", generation_config={**settings("generation_config"), "do_sample": False,
                                                          "temperature": 5.0})
        told = [self.ok("run", folder, "-p", "Who are you?", "-n", "12", "--seed", seed) for seed in (1, 2, 3)]
        self.assertEqual(len(set(told)), 1)
        self.assertTrue(told[0].startswith(ANSWER[:40]))

    def test_ids_that_no_token_has(self):
        generation = settings("generation_config")
        generation["eos_token_id"] = [70000] + generation["eos_token_id"]
        generation["suppress_tokens"] = [2048, -1]
        folder = self.copy("ids", generation_config=generation)
        self.answers(folder)
        self.assertEqual(len(self.notes("run", folder, *ASK)), 2)

    def test_defaults_without_sense_stop_nothing(self):
        folder = self.copy("hot", generation_config={**settings("generation_config"), "temperature": -3, "top_p": 0})
        for verb in (("run", folder, *ASK), ("tokenize", folder, "a")):
            notes = self.notes(*verb)
            self.assertEqual(len(notes), 2, notes)
            self.assertIn("the default temperature is -3; the published 1 is used", notes[0])
        self.ok("inspect", folder)

    def test_a_model_that_may_say_nothing(self):
        folder = self.copy("mute", generation_config={**settings("generation_config"), "suppress_tokens": list(range(2048))})
        self.fails(3, "run", folder, *ASK, says="forbids every token")
        self.ok("tokenize", folder, "a")

    def test_weights_that_are_no_numbers(self):
        weights = tiny_weights()
        kind, shape, data = weights["model.language_model.norm.weight"]
        weights["model.language_model.norm.weight"] = (kind, shape, b"\xc0\x7f" * (len(data) // 2))
        folder = self.tiny_copy("nan", model__safetensors=safetensors(weights))
        words = self.file("words.txt", "one two three four five six")
        self.assertEqual(self.fails(3, "run", folder, *ASK, says="NaN")["code"], "bad_model_file")
        self.fails(3, "perplexity", folder, words, says="no finite numbers")
        self.fails(3, "kld", folder, words, "--base", TINY, says="no finite numbers")

    def test_cache_folders(self):
        cache = self.folder / "models--some--tiny"
        (cache / "refs").mkdir(parents=True)
        (cache / "snapshots").mkdir()
        (cache / "refs" / "main").write_text("c0ffee")
        self.copy("plain").rename(cache / "snapshots" / "c0ffee")
        self.answers(cache)
        weights = cache / "snapshots" / "c0ffee" / "model.safetensors"
        weights.unlink()
        weights.symlink_to("../../blobs/1234")
        self.fails(3, "run", cache, *ASK, says="is a link to '../../blobs/1234', which is not there")

    def test_messages_with_settings_of_others(self):
        talk = {"temperature": 0.1, "stream": True, "messages": [{"role": "user", "content": "Who are you?"}]}
        notes = self.notes("run", TINY, "--temp", "0", "-n", "12", "--messages", self.file("m.json", json.dumps(talk)))
        self.assertEqual(notes, ['messages: not used: "temperature", "stream"'])
        twice = self.file("t.json", '[{"role": "user", "content": "a", "role": "user"}]')
        self.fails(2, "run", TINY, "--messages", twice, says='"role" stands twice')

    def test_unknown_settings_are_named_once(self):
        folder = self.copy("odd", generation_config={**settings("generation_config"), "repetition_penalty": 1.3})
        notes = self.notes("run", folder, *ASK)
        self.assertEqual(len(notes), 1)
        self.assertIn("'repetition_penalty' is not used", notes[0])
        self.assertEqual(self.notes("run", folder, *ASK, "--quiet"), [])
        self.assertEqual(self.ok_json("inspect", folder)["notes"], notes)
        self.assertIn(f"note: {notes[0]}\n", self.ok("inspect", folder))
        self.assertEqual(self.notes("tokenize", folder, "a"), notes)
        self.assertEqual(self.notes("logits", folder, "--tokens", "2", "--out", "/dev/null"), notes)
        self.assertEqual(self.notes("run", TINY, *ASK), [])

    def test_pictures_by_the_older_file(self):
        pictures = settings("processor_config")["image_processor"]
        look = ["--temp", "0", "-p", "What do you see?", "--image", SAMPLES / "image_2.png"]
        want = self.ok_json("run", TINY, *look)
        for name, processor in (("only", None), ("beside", {"processor_class": "Gemma4UnifiedProcessor"})):
            folder = self.copy(name, processor_config=processor, preprocessor_config=pictures)
            got = self.ok_json("run", folder, *look)
            self.assertEqual(got["prompt_tokens"], want["prompt_tokens"])
            self.assertEqual(got["text"], want["text"])
        packed = folder.parent / "older.lapidary"
        self.ok("pack", folder, packed)
        self.assertEqual(self.ok_json("run", packed, *look)["prompt_tokens"], want["prompt_tokens"])

    def test_pixels_and_samples_prepared_otherwise(self):
        processor = settings("processor_config")
        processor["image_processor"]["do_normalize"] = True
        processor["image_processor"]["image_mean"] = [0.4, 0.4, 0.4]
        processor["feature_extractor"]["sampling_rate"] = 24000
        folder = self.copy("otherwise", processor_config=processor)
        self.answers(folder)
        notes = self.notes("run", folder, *ASK)
        self.assertEqual(len(notes), 2)
        self.fails(3, "run", folder, *ASK, "--image", SAMPLES / "image_2.png", "-q", says="do_normalize")
        self.fails(3, "run", folder, *ASK, "--audio", SAMPLES / "speech_3.wav", "-q", says="sampling_rate")
        self.assertEqual(self.ok_json("inspect", folder)["inputs"], {"text": True, "image": False, "audio": False})

    def test_bundled_config_has_every_key_that_converters_ask_for(self):
        config = settings("config")
        text = config["text_config"]
        for key in ("moe_intermediate_size", "num_experts", "top_k_experts"):
            self.assertIn(key, text)
            self.assertIsNone(text[key])
        for key in ("head_dim", "global_head_dim", "hidden_size_per_layer_input", "layer_types", "num_kv_shared_layers",
                    "rope_parameters", "sliding_window", "final_logit_softcapping", "use_double_wide_mlp"):
            self.assertIsNotNone(text[key])
        self.assertEqual(set(text["rope_parameters"]["full_attention"]),
                         {"rope_type", "rope_theta", "partial_rotary_factor"})
        self.assertEqual({"mm_embed_dim", "model_patch_size", "mm_posemb_size"} - set(config["vision_config"]), set())
        self.assertIn("audio_embed_dim", config["audio_config"])
        self.assertEqual(settings("tokenizer_config")["extra_special_tokens"], ["<|video|>"])


class Tokenizers(Folders):
    def changed(self, name, change):
        tokenizer = settings("tokenizer")
        change(tokenizer)
        return self.copy(name, tokenizer=tokenizer)

    def test_steps_that_are_not_ours(self):
        def step(part, value):
            def change(tokenizer):
                old = tokenizer[part]
                lists = {"normalizer": "normalizers", "decoder": "decoders", "pre_tokenizer": "pretokenizers"}
                steps = old.get(lists[part], [old])
                tokenizer[part] = {"type": "Sequence", lists[part]: [*steps, value]}
            return change
        for part, value in (("normalizer", {"type": "Lowercase"}), ("decoder", {"type": "Strip", "content": " ",
                            "start": 1, "stop": 0}), ("pre_tokenizer", {"type": "Digits", "individual_digits": True})):
            folder = self.changed(part, step(part, value))
            error = self.fails(3, "tokenize", folder, "Who", says=(part, value["type"]))
            self.assertEqual(error["code"], "unsupported_model")

    def test_one_added_token_more_than_rows(self):
        def add(tokenizer):
            tokenizer["added_tokens"].append({"id": 2048, "content": "<|extra|>", "single_word": False, "lstrip": False,
                                              "rstrip": False, "normalized": False, "special": True})
        folder = self.changed("extra", add)
        self.answers(folder)
        self.assertEqual(len(self.notes("run", folder, *ASK)), 1)
        self.fails(2, "run", folder, "-q", "--raw", "-p", "<|extra|>", says="<|extra|>")

    def test_another_template_is_said_once(self):
        folder = self.tiny_copy("chatml", chat_template__jinja=b"{% for m in messages %}<|im_start|>{{ m.content }}{% endfor %}")
        self.answers(folder)
        notes = self.notes("run", folder, *ASK)
        self.assertEqual(len(notes), 1)
        self.assertIn("chat template", notes[0])
        packed = folder.parent / "chatml.lapidary"
        self.ok("pack", folder, packed)
        self.assertEqual(self.notes("run", packed, *ASK), notes)


class Parts(Folders):
    def test_parts_of_a_model_are_named(self):
        for files, words in ((["tokenizer.json", "tokenizer_config.json"], "a tokenizer without a model"),
                             (["chat_template.jinja"], "a chat template without a model"),
                             (["config.json", "tokenizer.json"], "a configuration without weights")):
            folder = self.folder_with(files)
            self.fails(3, "inspect", folder, says=words)

    def folder_with(self, names):
        folder = self.tiny_copy("-".join(names))
        for entry in folder.iterdir():
            if entry.name not in names:
                entry.unlink()
        return folder

    def test_adapters_and_other_weights(self):
        for name, words in (("adapter_config.json", "an adapter"), ("pytorch_model.bin", "weights of PyTorch")):
            folder = self.folder_with(["config.json", "tokenizer.json"])
            (folder / name).write_bytes(b"{}")
            self.fails(3, "inspect", folder, says=words)
            os.rename(folder, folder.with_name(f"done-{name}"))


if __name__ == "__main__":
    main()
