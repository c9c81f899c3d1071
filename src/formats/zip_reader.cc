#include "formats/zip_reader.h"

#include <zlib.h>

#include <algorithm>

#include "core/error.h"
#include "formats/crc32.h"

namespace ingot {
namespace {

constexpr uint32_t kLocal = 0x04034b50, kCentral = 0x02014b50, kEnd = 0x06054b50, kEnd64 = 0x06064b50, kLocator = 0x07064b50;
constexpr uint64_t kEndSize = 22, kLocatorSize = 20, kMostMembers = 1 << 17;

[[noreturn]] void broken(const std::string& what, const std::string& where) { bad_input("not a readable zip: " + what, where, "fetch it again"); }

uint64_t get(std::span<const std::byte> bytes, uint64_t at, int size, const std::string& where) {
  if (at > bytes.size() || bytes.size() - at < static_cast<uint64_t>(size)) broken("it is cut off", where);
  uint64_t value = 0;
  for (int i = 0; i < size; ++i) value |= static_cast<uint64_t>(bytes[at + static_cast<uint64_t>(i)]) << (8 * i);
  return value;
}

std::span<const std::byte> part(std::span<const std::byte> bytes, uint64_t at, uint64_t size, const std::string& where) {
  if (at > bytes.size() || bytes.size() - at < size) broken("it points outside itself", where);
  return bytes.subspan(at, size);
}

// The zip64 extra field holds, in this order, those of the three that did not fit.
void read_zip64(std::span<const std::byte> extra, ZipMember& member, const std::string& where) {
  for (uint64_t at = 0; at + 4 <= extra.size();) {
    const uint64_t id = get(extra, at, 2, where), size = get(extra, at + 2, 2, where);
    const auto field = part(extra, at + 4, size, where);
    at += 4 + size;
    if (id != 1) continue;
    uint64_t next = 0;
    for (uint64_t* value : {&member.size, &member.packed, &member.header}) {
      if (*value != 0xffffffff) continue;
      *value = get(field, next, 8, where);
      next += 8;
    }
  }
}

}  // namespace

ZipReader ZipReader::open(const std::filesystem::path& path) {
  auto file = std::make_shared<const MappedFile>(path);
  ZipReader out = parse(file->bytes(), path.string());
  out.file_ = std::move(file);
  return out;
}

ZipReader ZipReader::parse(std::span<const std::byte> bytes, const std::string& where) {
  ZipReader out;
  out.bytes_ = bytes;
  out.where_ = where;
  if (bytes.size() < kEndSize) broken("it is too short", where);
  uint64_t end = bytes.size() - kEndSize;
  const uint64_t lowest = end > 0xffff ? end - 0xffff : 0;
  while (get(bytes, end, 4, where) != kEnd) {
    if (end == lowest) broken("it has no end record", where);
    --end;
  }
  uint64_t count = get(bytes, end + 10, 2, where), at = get(bytes, end + 16, 4, where);
  if (end >= kLocatorSize && get(bytes, end - kLocatorSize, 4, where) == kLocator) {
    const uint64_t end64 = get(bytes, end - kLocatorSize + 8, 8, where);
    if (end64 > bytes.size() || get(bytes, end64, 4, where) != kEnd64) broken("its zip64 record is not where it should be", where);
    count = get(bytes, end64 + 32, 8, where);
    at = get(bytes, end64 + 48, 8, where);
  }
  if (count > kMostMembers || count * 46 > bytes.size()) broken("it says it holds " + std::to_string(count) + " members", where);
  for (uint64_t i = 0; i < count; ++i) {
    const auto head = part(bytes, at, 46, where);
    if (get(head, 0, 4, where) != kCentral) broken("its directory is broken", where);
    ZipMember member;
    member.flags = static_cast<uint16_t>(get(head, 8, 2, where));
    member.method = static_cast<uint16_t>(get(head, 10, 2, where));
    member.crc = static_cast<uint32_t>(get(head, 16, 4, where));
    member.packed = get(head, 20, 4, where);
    member.size = get(head, 24, 4, where);
    member.header = get(head, 42, 4, where);
    const uint64_t name = get(head, 28, 2, where), extra = get(head, 30, 2, where), comment = get(head, 32, 2, where);
    const auto text = part(bytes, at + 46, name, where);
    member.name.assign(reinterpret_cast<const char*>(text.data()), text.size());
    read_zip64(part(bytes, at + 46 + name, extra, where), member, where);
    at += 46 + name + extra + comment;
    out.members_.push_back(std::move(member));
  }
  return out;
}

const ZipMember* ZipReader::find(std::string_view name) const {
  const auto found = std::find_if(members_.begin(), members_.end(), [&](const ZipMember& member) { return member.name == name; });
  return found == members_.end() ? nullptr : &*found;
}

void ZipReader::read(const ZipMember& member, const std::function<void(std::span<const std::byte>)>& take) const {
  const std::string where = where_ + ":" + member.name;
  if (member.flags & 1) broken("the member is encrypted", where);
  if (member.method != 0 && member.method != 8) broken("the member is packed by method " + std::to_string(member.method) + "; stored and deflated are read", where);
  const auto head = part(bytes_, member.header, 30, where);
  if (get(head, 0, 4, where) != kLocal) broken("the member is not where the directory says", where);
  const uint64_t data = member.header + 30 + get(head, 26, 2, where) + get(head, 28, 2, where);
  const auto packed = part(bytes_, data, member.packed, where);
  uint64_t given = 0;
  uint32_t crc = 0;
  const auto give = [&](std::span<const std::byte> piece) {
    given += piece.size();
    if (given > member.size) broken("the member holds more than it says", where);
    crc = crc32(piece, crc);
    take(piece);
  };
  constexpr size_t kPiece = 1 << 18;
  if (member.method == 0) {
    for (uint64_t at = 0; at < packed.size(); at += kPiece) give(packed.subspan(at, std::min<uint64_t>(kPiece, packed.size() - at)));
  } else {
    z_stream stream{};
    if (inflateInit2(&stream, -MAX_WBITS) != Z_OK) throw Error(ErrorKind::environment, "out of memory", where, "free some memory");
    const std::unique_ptr<z_stream, int (*)(z_stream*)> owned(&stream, inflateEnd);
    std::vector<std::byte> buffer(kPiece);
    int state = Z_OK;
    for (uint64_t at = 0; state != Z_STREAM_END;) {
      if (stream.avail_in == 0) {
        const uint64_t more = std::min<uint64_t>(kPiece, packed.size() - at);
        stream.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(packed.data() + at));
        stream.avail_in = static_cast<uInt>(more);
        at += more;
      }
      stream.next_out = reinterpret_cast<Bytef*>(buffer.data());
      stream.avail_out = static_cast<uInt>(buffer.size());
      state = inflate(&stream, Z_NO_FLUSH);
      const size_t made = buffer.size() - stream.avail_out;
      if ((state != Z_OK && state != Z_STREAM_END) || (state == Z_OK && made == 0 && stream.avail_in == 0 && at == packed.size())) broken("the member does not unpack", where);
      give({buffer.data(), made});
    }
  }
  if (given != member.size || crc != member.crc) broken("the member's bytes are altered", where);
}

}  // namespace ingot
