"""Reads what `flow train --tensorboard` wrote with TensorBoard itself, and compares it with metrics.jsonl.

    python check_events.py runs/mnist-small
"""

import json
import struct
import sys
from pathlib import Path

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

folder = Path(sys.argv[1])
everything = {"scalars": 0, "images": 0}
events = EventAccumulator(str(folder / "events.out.tfevents.flow"), size_guidance=everything).Reload()
records = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
records = [record for record in records if "train_bits_per_dim" in record]

f32 = lambda value: struct.unpack("f", struct.pack("f", value))[0]
names = {
    "bits_per_dim/train": "train_bits_per_dim",
    "bits_per_dim/test": "test_bits_per_dim",
    "optimizer/learning_rate": "lr",
    "optimizer/gradient_norm": "grad_norm",
    "speed/images_per_second": "images_per_second",
}
assert set(events.Tags()["scalars"]) == set(names), events.Tags()
for tag, name in names.items():
    seen = [(event.step, event.value) for event in events.Scalars(tag)]
    expected = [(record["step"], f32(record[name])) for record in records if name in record]
    assert seen == expected, (tag, seen, expected)
    print(f"{tag}: {len(seen)} values")
samples = events.Images("samples")
pictures = sorted((folder / "samples").glob("epoch-*.png"))
# A training that is extended draws the epoch in which it ended again.
assert {path.read_bytes() for path in pictures} <= {image.encoded_image_string for image in samples}
print(f"samples: {len(samples)} pictures, {samples[-1].width}×{samples[-1].height}")
