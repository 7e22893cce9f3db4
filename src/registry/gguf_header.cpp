#include "registry/gguf_header.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <format>
#include <map>
#include <set>
#include <variant>

#include <fcntl.h>
#include <unistd.h>

#include "registry/file_io.hpp"
#include "registry/gguf_reader.hpp"
#include "registry/gguf_types.hpp"

namespace hf::registry {
namespace {

constexpr std::uint32_t kMagic = 0x46554747;  // "GGUF"
constexpr std::uint64_t kKeysMax = 16'384;
constexpr std::uint64_t kTensorsMax = 1U << 20U;
constexpr std::uint64_t kKeyBytesMax = 1024;
constexpr std::uint64_t kTextKeptBytes = 4096;  // Longer strings keep their length only.
constexpr std::uint64_t kNumbersKept = 1024;    // Per-layer lists; longer ones keep their count.
constexpr std::uint64_t kLayersMax = 4096;
constexpr std::uint64_t kTensorNameBytesMax = 64;

struct Text {
  std::string kept;
  std::uint64_t bytes = 0;
};
struct List {
  std::vector<std::uint64_t> numbers;  // Whole numbers only.
  std::vector<std::string> texts;      // The first 16.
  std::uint64_t count = 0;
};
using Value = std::variant<std::uint64_t, Text, List>;
using Metadata = std::map<std::string, Value, std::less<>>;

std::unexpected<Error> corrupt(std::string what) {
  return fail(Errc::data_corrupt,
              std::format("The model file is damaged or hostile: {}; fetch it again.", what));
}

// 0: not a scalar. Types: u8 i8 u16 i16 u32 i32 f32 bool string array u64 i64 f64.
std::size_t scalar_bytes(std::uint32_t type) {
  static constexpr std::array<std::size_t, 13> kBytes = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
  return type < kBytes.size() ? kBytes.at(type) : 0;
}
constexpr std::uint32_t kFloat32 = 6;
constexpr std::uint32_t kString = 8;
constexpr std::uint32_t kArray = 9;
constexpr std::uint32_t kFloat64 = 12;

Result<Text> read_text(GgufReader& reader) {
  Text text{.kept = {}, .bytes = HF_TRY(reader.string_length())};
  if (text.bytes <= kTextKeptBytes) {
    text.kept = HF_TRY(reader.bytes(text.bytes));
  } else {
    HF_TRY_VOID(reader.skip(text.bytes));
  }
  return text;
}

Result<List> read_list(GgufReader& reader, const std::string& key) {
  const auto type = HF_TRY(reader.number32());
  List list{.numbers = {}, .texts = {}, .count = HF_TRY(reader.number(8))};
  if (type == kString) {
    if (list.count > reader.left() / 8)
      return corrupt(key + " lists more strings than the file can hold");
    for (std::uint64_t i = 0; i < list.count; ++i) {
      auto text = HF_TRY(read_text(reader));
      if (i < 16) list.texts.push_back(std::move(text.kept));
    }
    return list;
  }
  const auto width = scalar_bytes(type);
  if (width == 0) return corrupt(std::format("{} is a list of unknown type {}", key, type));
  if (list.count > reader.left() / width) return corrupt(key + " is longer than the file");
  if (list.count > kNumbersKept || type == kFloat32 || type == kFloat64) {
    HF_TRY_VOID(reader.skip(list.count * width));
    return list;
  }
  for (std::uint64_t i = 0; i < list.count; ++i)
    list.numbers.push_back(HF_TRY(reader.number(width)));
  return list;
}

Result<Value> read_value(GgufReader& reader, const std::string& key) {
  const auto type = HF_TRY(reader.number32());
  if (type == kString) return HF_TRY(read_text(reader));
  if (type == kArray) return HF_TRY(read_list(reader, key));
  const auto width = scalar_bytes(type);
  if (width == 0) return corrupt(std::format("{} has unknown type {}", key, type));
  return HF_TRY(reader.number(width));
}

Result<Metadata> read_metadata(GgufReader& reader, std::uint64_t keys) {
  Metadata metadata;
  for (std::uint64_t i = 0; i < keys; ++i) {
    auto key = HF_TRY(reader.string(kKeyBytesMax, "a metadata key"));
    auto value = HF_TRY(read_value(reader, key));
    if (!metadata.emplace(key, std::move(value)).second) {
      return corrupt("a metadata key appears twice");
    }
  }
  return metadata;
}

std::uint64_t number(const Metadata& metadata, std::string_view key, std::uint64_t otherwise = 0) {
  const auto found = metadata.find(key);
  if (found == metadata.end()) return otherwise;
  if (const auto* list = std::get_if<List>(&found->second)) {
    return list->numbers.empty() ? otherwise : std::ranges::max(list->numbers);
  }
  const auto* value = std::get_if<std::uint64_t>(&found->second);
  return value == nullptr ? otherwise : *value;
}

std::string text(const Metadata& metadata, std::string_view key) {
  const auto found = metadata.find(key);
  if (found == metadata.end()) return {};
  const auto* value = std::get_if<Text>(&found->second);
  return value == nullptr ? std::string() : value->kept;
}

std::uint64_t length(const Metadata& metadata, std::string_view key) {
  const auto found = metadata.find(key);
  if (found == metadata.end()) return 0;
  if (const auto* list = std::get_if<List>(&found->second)) return list->count;
  const auto* value = std::get_if<Text>(&found->second);
  return value == nullptr ? 0 : value->bytes;
}

struct Tensor {
  std::string name;
  std::uint64_t elements = 1;
  std::uint64_t bytes = 0;
  std::uint64_t offset = 0;
};

Result<Tensor> read_tensor(GgufReader& reader, std::uint64_t alignment) {
  Tensor tensor{.name = HF_TRY(reader.string(kTensorNameBytesMax, "a tensor name"))};
  const auto dimensions = HF_TRY(reader.number32());
  if (dimensions > 4) return corrupt(std::format("a tensor has {} dimensions", dimensions));
  std::uint64_t row = 1;
  for (std::uint32_t d = 0; d < dimensions; ++d) {
    const auto extent = HF_TRY(reader.number(8));
    if (d == 0) row = extent;
    if (extent == 0 || extent > (std::uint64_t{1} << 62U) / tensor.elements) {
      return corrupt("a tensor's size is zero or beyond all bounds");
    }
    tensor.elements *= extent;
  }
  const auto shape = tensor_type(HF_TRY(reader.number32()));
  if (shape.block_bytes == 0) {
    return fail(
        Errc::unimplemented,
        "The model file has tensors of a type this program does not know; update the program "
        "or choose another quantisation.");
  }
  if (row % shape.block_elements != 0)
    return corrupt("a tensor's row is no whole number of blocks");
  const auto blocks = tensor.elements / shape.block_elements;
  tensor.offset = HF_TRY(reader.number(8));
  if (tensor.offset % alignment != 0) return corrupt("a tensor is not aligned");
  if (blocks > reader.file_bytes() / shape.block_bytes)
    return corrupt("a tensor is larger than the file");
  tensor.bytes = blocks * shape.block_bytes;
  return tensor;
}

struct TensorTable {
  std::uint64_t elements = 0;
  std::uint64_t bytes = 0;
  bool classifier = false;
};

Result<TensorTable> read_tensors(GgufReader& reader, std::uint64_t count, std::uint64_t alignment) {
  TensorTable table;
  std::uint64_t end = 0;
  std::set<std::string> names;
  for (std::uint64_t i = 0; i < count; ++i) {
    auto tensor = HF_TRY(read_tensor(reader, alignment));
    if (tensor.offset > reader.file_bytes() - tensor.bytes)
      return corrupt("a tensor lies beyond its end");
    end = std::max(end, tensor.offset + tensor.bytes);
    table.bytes += tensor.bytes;
    table.elements += tensor.elements;
    // Both sums stay below 2^63: tensors may not overlap, checked against the file's length here.
    if (table.bytes > reader.file_bytes()) return corrupt("its tensors are larger than the file");
    table.classifier = table.classifier || tensor.name.starts_with("cls.");
    if (!names.insert(std::move(tensor.name)).second)
      return corrupt("a tensor's name appears twice");
  }
  if (count == 0) return table;
  const auto start = (reader.offset() + alignment - 1) / alignment * alignment;
  if (start > reader.file_bytes() || end > reader.file_bytes() - start) {
    return fail(Errc::data_corrupt,
                std::format("The model file has {} bytes but its tensors need {}; it is truncated, "
                            "fetch it again.",
                            reader.file_bytes(), start + end));
  }
  return table;
}

std::string pooling_name(const Metadata& metadata, const std::string& key) {
  static constexpr std::array<std::string_view, 5> kNames = {"none", "mean", "cls", "last", "rank"};
  const auto type = number(metadata, key, kNames.size());
  return type < kNames.size() ? std::string(kNames.at(type)) : std::string();
}

std::uint32_t small(std::uint64_t value) {
  return static_cast<std::uint32_t>(std::min<std::uint64_t>(value, 1U << 20U));
}

void fill_attention(GgufHeader& header, const Metadata& metadata, const std::string& arch) {
  header.heads = small(number(metadata, arch + ".attention.head_count"));
  const auto head = header.heads == 0 ? 0 : header.embedding_size / header.heads;
  header.key_size = small(number(metadata, arch + ".attention.key_length", head));
  header.value_size = small(number(metadata, arch + ".attention.value_length", head));
  const auto latent = number(metadata, arch + ".attention.kv_lora_rank");
  if (latent != 0) {
    const auto rope = number(metadata, arch + ".rope.dimension_count");
    header.kv_latent_size = small(small(latent) + small(rope));
  }
  const auto key = arch + ".attention.head_count_kv";
  header.kv_heads.assign(header.layers, small(number(metadata, key, header.heads)));
  const auto found = metadata.find(key);
  if (found == metadata.end()) return;
  if (const auto* list = std::get_if<List>(&found->second)) {
    for (std::size_t i = 0; i < std::min(list->numbers.size(), header.kv_heads.size()); ++i) {
      header.kv_heads[i] = small(list->numbers[i]);
    }
  }
}

GgufHeader describe(const Metadata& metadata, const TensorTable& table) {
  GgufHeader header;
  header.architecture = text(metadata, "general.architecture");
  const auto& arch = header.architecture;
  header.name = text(metadata, "general.name");
  header.licence = text(metadata, "general.license");
  header.type = text(metadata, "general.type");
  header.size_label = text(metadata, "general.size_label");
  header.file_type = file_type_name(number(metadata, "general.file_type", ~std::uint64_t{0}));
  header.parameters = table.elements;
  header.tensor_bytes = table.bytes;
  header.context_tokens = number(metadata, arch + ".context_length");
  header.layers =
      static_cast<std::uint32_t>(std::min(number(metadata, arch + ".block_count"), kLayersMax));
  header.embedding_size = small(number(metadata, arch + ".embedding_length"));
  header.feed_forward_size = small(number(metadata, arch + ".feed_forward_length"));
  header.sliding_window_tokens = small(number(metadata, arch + ".attention.sliding_window"));
  fill_attention(header, metadata, arch);
  header.vocabulary =
      number(metadata, arch + ".vocab_size", length(metadata, "tokenizer.ggml.tokens"));
  header.chat_template_bytes = length(metadata, "tokenizer.chat_template");
  header.causal = number(metadata, arch + ".attention.causal", 1) != 0;
  header.pooling = pooling_name(metadata, arch + ".pooling_type");
  if (table.classifier) header.pooling = "rank";
  header.adapter_type = text(metadata, "adapter.type");
  header.base_model = text(metadata, "general.base_model.0.name");
  return header;
}

Result<GgufHeader> parse(GgufReader& reader) {
  // So that no sum of an offset and a checked length can wrap.
  if (reader.file_bytes() > std::uint64_t{1} << 60U)
    return corrupt("it claims an impossible length");
  const auto magic = reader.number32();
  if (!magic || *magic != kMagic) {
    return fail(Errc::data_corrupt,
                "This is not a GGUF model file; give a file that ends in .gguf.");
  }
  const auto version = HF_TRY(reader.number32());
  if (version != 2 && version != 3) {
    return fail(
        Errc::unimplemented,
        std::format("The model file has GGUF version {}; versions 2 and 3 (little-endian) are "
                    "supported, convert it again.",
                    version));
  }
  const auto tensors = HF_TRY(reader.number(8));
  const auto keys = HF_TRY(reader.number(8));
  // The smallest key takes 13 bytes, the smallest tensor entry 24.
  if (keys > kKeysMax || keys > reader.left() / 13)
    return corrupt(std::format("it counts {} keys", keys));
  if (tensors > kTensorsMax || tensors > reader.left() / 24) {
    return corrupt(std::format("it counts {} tensors", tensors));
  }
  const auto metadata = HF_TRY(read_metadata(reader, keys));
  if (text(metadata, "general.architecture").empty()) return corrupt("it names no architecture");
  if (const auto pieces = number(metadata, "split.count"); pieces > 1) {
    return fail(Errc::unimplemented,
                std::format("This is one of {} pieces of a split model; join them first with "
                            "llama-gguf-split --merge, then import the result.",
                            pieces));
  }
  const auto alignment = number(metadata, "general.alignment", 32);
  if (alignment == 0 || (alignment & (alignment - 1)) != 0 || alignment > (1U << 20U)) {
    return corrupt(std::format("its alignment is {}", alignment));
  }
  auto header = describe(metadata, HF_TRY(read_tensors(reader, tensors, alignment)));
  header.version = version;
  header.file_bytes = reader.file_bytes();
  header.tensors = static_cast<std::uint32_t>(tensors);
  return header;
}

}  // namespace

Result<GgufHeader> read_gguf_header(const std::string& path) {
  const auto file = HF_TRY(open_file(path, O_RDONLY, "read the model file"));
  const auto bytes = HF_TRY(file_bytes(file, path));
  GgufReader reader(
      [&](std::uint64_t offset, std::span<char> out) -> Result<std::size_t> {
        const auto got = ::pread(file.get(), out.data(), out.size(), static_cast<off_t>(offset));
        if (got < 0) return std::unexpected(system_error("read the model file", path, errno));
        return static_cast<std::size_t>(got);
      },
      bytes);
  auto header = parse(reader);
  if (!header) header.error().detail = path;
  return header;
}

Result<GgufHeader> parse_gguf_header(std::string_view head, std::uint64_t file_bytes) {
  GgufReader reader(
      [head](std::uint64_t offset, std::span<char> out) -> Result<std::size_t> {
        if (offset >= head.size()) return std::size_t{0};
        const auto count = std::min<std::uint64_t>(out.size(), head.size() - offset);
        std::copy_n(head.begin() + static_cast<std::ptrdiff_t>(offset), count, out.begin());
        return static_cast<std::size_t>(count);
      },
      file_bytes);
  return parse(reader);
}

std::string model_kind(const GgufHeader& header) {
  if (header.type == "adapter" || !header.adapter_type.empty()) return "adapter";
  if (header.pooling == "rank") return "rerank";
  const bool pooled = !header.pooling.empty() && header.pooling != "none";
  return pooled || !header.causal ? "embedding" : "chat";
}

}  // namespace hf::registry
