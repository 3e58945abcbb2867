"""The bundled model's own record: sample answers and reference ids, through the program."""

import json
import unittest

from support import FFMPEG, ROOT, SAMPLES, TINY, CliTest, main

CLIPS = ROOT / "tests/data/media/video"
SKIPPED_CASES = {} if FFMPEG else {"video": "this build has no FFmpeg"}


class Samples(CliTest):
    def answers(self, kind, flag):
        checked = 0
        for sample in json.loads((SAMPLES / "samples.json").read_text())["samples"]:
            if sample["type"] != kind:
                continue
            for qa in sample["qa"]:
                with self.subTest(file=sample["file"], prompt=qa["prompt"]):
                    answer = self.ok("run", TINY, flag, SAMPLES / sample["file"], "-p", qa["prompt"],
                                     "--temp", "0", "--quiet")
                    self.assertEqual(answer, qa["answer"] + "\n")
                    checked += 1
        return checked

    def test_pictures(self):
        self.assertEqual(self.answers("image", "--image"), 17)

    def test_speech(self):
        self.assertEqual(self.answers("audio", "--audio"), 6)

    @unittest.skipUnless(FFMPEG, "this build has no FFmpeg")
    def test_videos(self):
        self.assertEqual(self.answers("video", "--video"), 2)

    def test_reference_cases(self):
        cases = json.loads((TINY / "reference.json").read_text())["cases"]
        self.assertLessEqual(set(SKIPPED_CASES), {case["name"] for case in cases})
        for case in cases:
            if case["name"] in SKIPPED_CASES:
                continue
            with self.subTest(case=case["name"]):
                messages = self.file("messages.json", json.dumps({"messages": self.with_paths(case), "tools": case["tools"]}))
                think = "on" if case["enable_thinking"] else "off"
                reply = self.ok_json("run", TINY, "--messages", messages, "--think", think, "--temp", "0")
                self.assertEqual(reply["prompt_tokens"], case["input_ids"])
                self.assertEqual(reply["tokens"], case["output_ids"])
                rendered = self.ok_json("tokenize", TINY, "--messages", messages, "--think", think)
                self.assertEqual(rendered["ids"], case["input_ids"])

    def with_paths(self, case):
        media = iter(case["media"])
        messages = case["messages"]
        for message in messages:
            if isinstance(message["content"], str):
                continue
            for part in message["content"]:
                if part["type"] != "text":
                    # The frames of the video are a folder; this file holds them without loss.
                    file = next(media)
                    part["path"] = str(CLIPS / "reference.mkv" if part["type"] == "video" else SAMPLES / file)
        return messages


if __name__ == "__main__":
    main()
