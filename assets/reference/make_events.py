"""Writes events.out.tfevents.reference with TensorBoard's own messages and record writer."""

from pathlib import Path

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter

scalars = [("bits_per_dim/train", 1.25), ("lr", 1e-3)]
image = Summary.Image(height=300, width=584, colorspace=3, encoded_image_string=b"\x89PNG and more")
events = [
    Event(wall_time=1_700_000_000.5, file_version="brain.Event:2"),
    Event(
        wall_time=1_700_000_001.25,
        step=20,
        summary=Summary(value=[Summary.Value(tag=tag, simple_value=value) for tag, value in scalars]),
    ),
    Event(
        wall_time=1_700_000_002.0,
        step=3_000_000_000,
        summary=Summary(value=[Summary.Value(tag="zero", simple_value=0.0)]),
    ),
    Event(
        wall_time=1_700_000_003.0,
        step=40,
        summary=Summary(value=[Summary.Value(tag="samples", image=image)]),
    ),
]
with open(Path(__file__).parent / "events.out.tfevents.reference", "wb") as file:
    writer = RecordWriter(file)
    for event in events:
        writer.write(event.SerializeToString())
    writer.flush()
