#include "formats/archive_zip.h"

#include <cstring>

#include "core/error.h"
#include "formats/archive_tree.h"

namespace ingot {

[[noreturn]] void altered(std::string what, std::string where) {
  throw Error(ErrorKind::altered, std::move(what), std::move(where), "get the file again from where it was packed");
}

namespace {

constexpr uint32_t local_magic = 0x04034b50, central_magic = 0x02014b50, end_magic = 0x06054b50, end64_magic = 0x06064b50,
                   locator_magic = 0x07064b50;
constexpr uint64_t local_size = 30, central_size = 46, end_size = 22, end64_size = 56, locator_size = 20;
constexpr uint16_t zip64_id = 1, padding_id = 0x6749;  // "Ig": not in APPNOTE's list
constexpr uint16_t date_1980 = 0x21;                   // 1980-01-01: the same input packs to the same bytes
constexpr uint32_t full32 = 0xffffffff;

void put(std::string& out, uint64_t value, int bytes) {
  for (int i = 0; i < bytes; ++i) out += static_cast<char>(value >> (8 * i));
}

// A bounds-checked little-endian reader.
struct ZipReader {
  std::span<const std::byte> bytes;
  uint64_t at;
  const std::string& where;

  std::span<const std::byte> take(uint64_t size) {
    if (at > bytes.size() || size > bytes.size() - at) altered("the zip directory points outside the file: truncated or altered", where);
    auto part = bytes.subspan(at, size);
    at += size;
    return part;
  }
  uint64_t get(int size) {
    uint64_t value = 0;
    auto part = take(static_cast<uint64_t>(size));
    for (int i = 0; i < size; ++i) value |= static_cast<uint64_t>(part[static_cast<size_t>(i)]) << (8 * i);
    return value;
  }
};

void put_common(std::string& out, const ZipEntry& entry, bool zip64, uint64_t extra) {
  put(out, zip64 ? 45 : 20, 2);  // version needed
  put(out, 0, 2);                // flags: names are ASCII
  put(out, 0, 2);                // stored
  put(out, 0, 2);
  put(out, date_1980, 2);
  put(out, entry.crc, 4);
  uint64_t shown = entry.size >= full32 ? full32 : entry.size;
  put(out, shown, 4);
  put(out, shown, 4);
  put(out, entry.name.size(), 2);
  put(out, extra, 2);
}

std::string zip64_extra(const ZipEntry& entry, bool central) {
  std::string fields;
  if (entry.size >= full32) {
    put(fields, entry.size, 8);
    put(fields, entry.size, 8);
  }
  if (central && entry.header >= full32) put(fields, entry.header, 8);
  if (fields.empty()) return {};
  std::string extra;
  put(extra, zip64_id, 2);
  put(extra, fields.size(), 2);
  return extra + fields;
}

}  // namespace

std::string name_problem(std::string_view name) {
  if (name.empty() || name.size() > 255) return "has " + std::to_string(name.size()) + " bytes; 1 to 255 are allowed";
  for (char c : name) {
    if (c <= ' ' || c > '~' || c == '\\') return "has a character other than printable ASCII";
  }
  for (size_t begin = 0; begin <= name.size();) {
    size_t end = std::min(name.find('/', begin), name.size());
    std::string_view part = name.substr(begin, end - begin);
    if (part.empty() || part == "." || part == "..") return "has an empty, \".\" or \"..\" part";
    begin = end + 1;
  }
  return {};
}

std::string local_header(ZipEntry& entry, uint64_t at) {
  std::string zip64 = zip64_extra(entry, false);
  uint64_t fixed = local_size + entry.name.size() + zip64.size() + 4;
  uint64_t padding = (page_size - (at + fixed) % page_size) % page_size;
  std::string out;
  if (padding + 4 + zip64.size() > 0xffff) {  // more than an extra field holds: start the header a little later
    out.assign(64, '\0');
    padding -= 64;
  }
  entry.header = at + out.size();
  entry.data = entry.header + fixed + padding;
  put(out, local_magic, 4);
  put_common(out, entry, !zip64.empty(), zip64.size() + 4 + padding);
  out += entry.name + zip64;
  put(out, padding_id, 2);
  put(out, padding, 2);
  out.append(padding, '\0');
  return out;
}

std::string central_directory(std::span<const ZipEntry> entries, uint64_t at) {
  std::string out;
  for (const ZipEntry& entry : entries) {
    std::string zip64 = zip64_extra(entry, true);
    put(out, central_magic, 4);
    put(out, 45 | 3 << 8, 2);  // made by: unix
    put_common(out, entry, !zip64.empty(), zip64.size());
    put(out, 0, 2);  // comment
    put(out, 0, 2);  // disk
    put(out, 0, 2);
    put(out, uint64_t{0100644} << 16, 4);
    put(out, entry.header >= full32 ? full32 : entry.header, 4);
    out += entry.name + zip64;
  }
  uint64_t size = out.size(), count = entries.size();
  bool zip64 = count >= 0xffff || at >= full32 || size >= full32;
  if (zip64) {
    put(out, end64_magic, 4);
    put(out, end64_size - 12, 8);
    put(out, 45 | 3 << 8, 2);
    put(out, 45, 2);
    put(out, 0, 8);  // disks
    put(out, count, 8);
    put(out, count, 8);
    put(out, size, 8);
    put(out, at, 8);
    put(out, locator_magic, 4);
    put(out, 0, 4);
    put(out, at + size, 8);
    put(out, 1, 4);
  }
  put(out, end_magic, 4);
  put(out, 0, 4);  // disks
  put(out, zip64 ? 0xffff : count, 2);
  put(out, zip64 ? 0xffff : count, 2);
  put(out, zip64 ? full32 : size, 4);
  put(out, zip64 ? full32 : at, 4);
  put(out, 0, 2);  // no comment: the record ends the file
  return out;
}

std::vector<ZipEntry> read_central_directory(std::span<const std::byte> file, const std::string& where) {
  if (file.size() < end_size) altered("not an .ingot file, or cut off: only " + std::to_string(file.size()) + " bytes", where);
  uint64_t end_at = file.size() - end_size, directory_end = end_at;
  ZipReader end{file, end_at, where};
  if (end.get(4) != end_magic) altered("not an .ingot file, or cut off: it does not end as one", where);
  uint64_t disks = end.get(4), here = end.get(2), count = end.get(2), size = end.get(4), at = end.get(4), comment = end.get(2);
  if (disks || comment || here != count) altered("the end record is not canonical", where);
  if (count == 0xffff) {
    if (end_at < locator_size + end64_size) altered("the zip64 end record is missing", where);
    ZipReader locator{file, end_at - locator_size, where};
    directory_end = end_at - locator_size - end64_size;
    if (locator.get(4) != locator_magic || locator.get(4) || locator.get(8) != directory_end || locator.get(4) != 1) {
      altered("the zip64 locator is not canonical", where);
    }
    ZipReader end64{file, directory_end, where};
    bool good = end64.get(4) == end64_magic && end64.get(8) == end64_size - 12 && end64.get(4) && !end64.get(8);
    here = end64.get(8), count = end64.get(8), size = end64.get(8), at = end64.get(8);
    if (!good || here != count) altered("the zip64 end record is not canonical", where);
  }
  if (at > directory_end || size != directory_end - at) altered("the central directory is not where the end record says", where);
  if (count > max_members || count > size / central_size) altered("the central directory claims too many members", where);

  std::vector<ZipEntry> entries;
  ZipReader in{file.first(directory_end), at, where};
  for (uint64_t i = 0; i < count; ++i) {
    ZipEntry entry;
    if (in.get(4) != central_magic) altered("the central directory is damaged at member " + std::to_string(i), where);
    in.take(4);  // versions
    uint64_t flags = in.get(2), method = in.get(2);
    in.take(4);  // time
    entry.crc = static_cast<uint32_t>(in.get(4));
    uint64_t packed = in.get(4);
    entry.size = in.get(4);
    uint64_t name_size = in.get(2), extra_size = in.get(2), comment_size = in.get(2);
    in.take(8);  // disk, attributes
    entry.header = in.get(4);
    auto name = in.take(name_size);
    entry.name.assign(reinterpret_cast<const char*>(name.data()), name.size());
    if (std::string problem = name_problem(entry.name); !problem.empty()) altered("the name of member " + std::to_string(i) + " " + problem, where);
    if (flags || method || comment_size || packed != entry.size) altered("member " + entry.name + " is not stored as .ingot stores", where);
    ZipReader extra{in.take(extra_size), 0, where};
    if (extra_size) {
      if (extra.get(2) != zip64_id || extra.get(2) != extra_size - 4) altered("member " + entry.name + " has a foreign extra field", where);
      if (entry.size == full32) {
        packed = extra.get(8);
        entry.size = extra.get(8);
        if (packed != entry.size) altered("member " + entry.name + " is not stored as .ingot stores", where);
      }
      if (entry.header == full32) entry.header = extra.get(8);
    }
    if (extra.at != extra_size) altered("member " + entry.name + " has a foreign extra field", where);
    entries.push_back(std::move(entry));
  }
  if (in.at != directory_end) altered("bytes are left over in the central directory", where);
  return entries;
}

uint64_t read_local_header(std::span<const std::byte> file, const ZipEntry& entry, const std::string& where) {
  ZipReader in{file, entry.header, where};
  bool good = in.get(4) == local_magic;
  in.take(2);
  good = good && in.get(4) == 0;  // flags, method
  in.take(4);
  good = good && in.get(4) == entry.crc;
  uint64_t packed = in.get(4), size = in.get(4), name_size = in.get(2), extra_size = in.get(2);
  uint64_t shown = entry.size >= full32 ? full32 : entry.size;
  good = good && packed == shown && size == shown && name_size == entry.name.size();
  auto name = in.take(name_size);
  good = good && std::memcmp(name.data(), entry.name.data(), std::min(name.size(), entry.name.size())) == 0;
  if (!good) altered("the local header of " + entry.name + " disagrees with the central directory", where);
  return in.at + extra_size;
}

std::string Seal::bytes() const {
  return "IngotSg1" + std::string(reinterpret_cast<const char*>(digest.data()), digest.size()) + public_key + signature;
}

Seal Seal::read(std::span<const std::byte> bytes, const std::string& where) {
  std::string text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  Seal seal;
  if (text.size() != size || !text.starts_with("IngotSg1")) altered("the signature is damaged", where);
  std::memcpy(seal.digest.data(), text.data() + 8, 32);
  seal.public_key = text.substr(40, 32);
  seal.signature = text.substr(72, 64);
  if (!seal.is_signed() && seal.signature != std::string(64, '\0')) altered("the signature is damaged", where);
  return seal;
}

std::string Seal::message() const {
  return "ingot archive 1\n" + std::string(reinterpret_cast<const char*>(digest.data()), digest.size());
}

Digest seal_digest(std::span<const std::byte> tail, uint64_t tail_begin, const ZipEntry& seal) {
  std::string bytes(reinterpret_cast<const char*>(tail.data()), tail.size());
  constexpr size_t crc_in_local = 14, crc_in_central = 16;
  uint64_t local = seal.header - tail_begin, data = seal.data - tail_begin;
  std::memset(bytes.data() + local + crc_in_local, 0, 4);
  // The seal's directory entry comes last; find it from its data's end on, by magic and name.
  std::string magic;
  put(magic, central_magic, 4);
  for (size_t at = data + seal.size; (at = bytes.find(magic, at)) != std::string::npos; ++at) {
    if (at + central_size + seal.name.size() > bytes.size()) break;
    if (bytes.compare(at + central_size, seal.name.size(), seal.name) == 0) std::memset(bytes.data() + at + crc_in_central, 0, 4);
  }
  bytes.erase(data, seal.size);
  return sha256(bytes);
}

}  // namespace ingot
