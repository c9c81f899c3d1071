// tokenizer.model: SentencePiece's protobuf, of which the fields that encoding needs are read.
#include <bit>
#include <cstring>

#include "core/error.h"
#include "text/tokenizer_parts.h"

namespace ingot {
namespace {

// Wire format: a tag (field << 3 | type), then a varint, 8 bytes, a length and bytes, or 4 bytes.
class Message {
 public:
  Message(std::string_view bytes, const std::string& name) : rest_(bytes), name_(name) {}

  bool next() {
    if (rest_.empty()) return false;
    const uint64_t tag = varint();
    field = tag >> 3;
    switch (tag & 7) {
      case 0: number = varint(); break;
      case 1: take(8); break;
      case 2: bytes = take(varint()); break;
      case 5: {
        uint32_t bits;
        std::memcpy(&bits, take(4).data(), 4);
        real = std::bit_cast<float>(bits);
        break;
      }
      default: refuse_tokenizer("the protobuf has a field of wire type " + std::to_string(tag & 7), name_);
    }
    return true;
  }

  uint64_t field = 0, number = 0;
  float real = 0;
  std::string_view bytes;

 private:
  uint64_t varint() {
    uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      const auto b = static_cast<unsigned char>(take(1)[0]);
      value |= uint64_t{b & 127u} << shift;
      if (b < 128) return value;
    }
    refuse_tokenizer("the protobuf has a number of more than 64 bits", name_);
  }
  std::string_view take(uint64_t n) {
    if (n > rest_.size()) refuse_tokenizer("the protobuf ends inside a field: " + std::to_string(n) + " bytes wanted, " + std::to_string(rest_.size()) + " left", name_);
    const std::string_view out = rest_.substr(0, n);
    rest_.remove_prefix(n);
    return out;
  }
  std::string_view rest_;
  const std::string& name_;
};

int32_t id_of(uint64_t number) { return static_cast<int32_t>(static_cast<uint32_t>(number)); }  // -1 is written as 64 ones

}  // namespace

void follow_sentence_piece(TokenizerParts& p, Prefix dummy_prefix) {
  std::vector<std::pair<std::string_view, int32_t>> kept;
  for (int32_t id = 0; id < p.vocab.size(); ++id) {
    const PieceType type = p.types[static_cast<size_t>(id)];
    if (p.vocab[id].empty()) continue;
    if (type == PieceType::kUserDefined) {
      kept.emplace_back(p.vocab[id], id);
      // A unigram model weighs them beside its other pieces.
      if (p.kind != TokenizerKind::kUnigram) p.added.push_back({std::string(p.vocab[id]), id, false, false, false, false, true});
    } else if (type == PieceType::kControl || type == PieceType::kUnknown) {
      p.added.push_back({std::string(p.vocab[id]), id, true});
    }
  }
  SentencePieceNormalizing n;
  n.map = p.character_map;
  if (!kept.empty()) n.kept = std::make_shared<const ByteTrie>(std::move(kept));
  n.dummy_prefix = dummy_prefix;
  n.remove_extra_spaces = p.remove_extra_spaces;
  p.dummy_prefix = dummy_prefix != Prefix::kNever;
  p.normalize = {sentence_piece_step(std::move(n))};
  p.decoding = {true, true, p.dummy_prefix, false, false, false};
}

TokenizerParts parts_from_sentence_piece(std::string_view file, const std::string& name) {
  TokenizerParts p;
  p.name = name;
  PieceTable vocab;
  uint64_t model = 1;
  bool dummy_prefix = true, escape = true, suffix = false;
  int32_t unknown = 0;
  p.bos = 1, p.eos = 2;
  p.remove_extra_spaces = true;
  std::string map;
  for (Message m(file, name); m.next();) {
    if (m.field == 1) {
      std::string_view piece;
      float score = 0;
      uint64_t type = 1;
      for (Message one(m.bytes, name); one.next();) {
        if (one.field == 1) piece = one.bytes;
        else if (one.field == 2) score = one.real;
        else if (one.field == 3) type = one.number;
      }
      if (type < 1 || type > 6) refuse_tokenizer("the piece \"" + std::string(piece) + "\" has the type " + std::to_string(type), name);
      if (!valid_utf8(piece)) refuse_tokenizer("piece " + std::to_string(vocab.size()) + " is not UTF-8", name);
      vocab.add(piece);
      p.scores.push_back(score);
      p.types.push_back(static_cast<PieceType>(type));
    } else if (m.field == 2) {
      for (Message one(m.bytes, name); one.next();) {
        if (one.field == 3) model = one.number;
        else if (one.field == 24) suffix = one.number != 0;
        else if (one.field == 35) p.byte_fallback = one.number != 0;
        else if (one.field == 40) unknown = id_of(one.number);
        else if (one.field == 41) p.bos = id_of(one.number);
        else if (one.field == 42) p.eos = id_of(one.number);
        else if (one.field == 43) p.pad = id_of(one.number);
      }
    } else if (m.field == 3) {
      for (Message one(m.bytes, name); one.next();) {
        if (one.field == 2) map = one.bytes;
        else if (one.field == 3) dummy_prefix = one.number != 0;
        else if (one.field == 4) p.remove_extra_spaces = one.number != 0;
        else if (one.field == 5) escape = one.number != 0;
      }
    }
  }
  if (vocab.size() == 0) refuse_tokenizer("there are no pieces: this is no SentencePiece model", name);
  if (model != 1 && model != 2) refuse_tokenizer("the SentencePiece model is of type " + std::to_string(model) + ", expected 1 (unigram) or 2 (BPE)", name);
  if (suffix) refuse_tokenizer("white space as a suffix is not supported", name);
  if (!escape) refuse_tokenizer("white space that is not escaped is not supported", name);
  vocab.index();
  p.vocab = std::move(vocab);
  p.kind = model == 2 ? TokenizerKind::kScoredBpe : TokenizerKind::kUnigram;
  p.unknown = unknown;
  for (int32_t* id : {&p.bos, &p.eos, &p.pad})
    if (*id >= p.vocab.size() || *id < -1) *id = -1;
  if (!map.empty()) p.character_map = std::make_shared<const CharacterMap>(std::move(map), name);
  follow_sentence_piece(p, dummy_prefix ? Prefix::kAlways : Prefix::kNever);
  p.add_bos = model == 2 && p.bos >= 0;
  p.add_eos = model == 1 && p.eos >= 0;
  return p;
}

std::shared_ptr<const Tokenizer> Tokenizer::from_sentence_piece(std::string_view bytes, const std::string& name) {
  return std::make_shared<const Tokenizer>(parts_from_sentence_piece(bytes, name));
}

}  // namespace ingot
