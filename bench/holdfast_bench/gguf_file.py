"""Writes small GGUF files (format version 3) without any library."""
import array
import random
import struct

_TYPES = {"u32": (4, "<I"), "f32": (6, "<f")}
_STRING = 8


def _text(value):
    raw = value.encode()
    return struct.pack("<Q", len(raw)) + raw


def _pair(key, kind, value):
    if kind == "str":
        return _text(key) + struct.pack("<I", _STRING) + _text(value)
    number, layout = _TYPES[kind]
    return _text(key) + struct.pack("<I", number) + struct.pack(layout, value)


def write(path, pairs, tensors, alignment=32):
    """`pairs`: (key, "str"|"u32"|"f32", value). `tensors`: (name, shape innermost first, float array)."""
    head = struct.pack("<IIQQ", 0x46554747, 3, len(tensors), len(pairs))
    head += b"".join(_pair(*pair) for pair in pairs)
    offset = 0
    for name, shape, values in tensors:
        head += _text(name) + struct.pack("<I", len(shape))
        head += b"".join(struct.pack("<Q", size) for size in shape)
        head += struct.pack("<IQ", 0, offset)  # 0: F32
        offset += -(-len(values) * 4 // alignment) * alignment
    with open(path, "wb") as file:
        file.write(head + bytes(-len(head) % alignment))
        for _, _, values in tensors:
            raw = values.tobytes()
            file.write(raw + bytes(-len(raw) % alignment))


def write_lora(path, seed, layers, width, value_width, rank=8, scale=0.05):
    """A random LoRA adapter on the q and v projections of a llama model."""
    draw = random.Random(seed)

    def values(count):
        return array.array("f", (draw.gauss(0, scale) for _ in range(count)))

    tensors = []
    for layer in range(layers):
        for name, out in (("attn_q", width), ("attn_v", value_width)):
            stem = f"blk.{layer}.{name}.weight"
            tensors.append((f"{stem}.lora_a", (width, rank), values(width * rank)))
            tensors.append((f"{stem}.lora_b", (rank, out), values(rank * out)))
    write(path, [("general.type", "str", "adapter"), ("general.architecture", "str", "llama"),
                 ("general.name", "str", f"random adapter {seed}"),
                 ("adapter.type", "str", "lora"), ("adapter.lora.alpha", "f32", 16.0)], tensors)
