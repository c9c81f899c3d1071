#include "core/file_digest.h"

#include <openssl/evp.h>

#include <algorithm>
#include <new>
#include <string>

#include "core/files.h"

namespace ingot {
namespace {

constexpr size_t kPiece = 4 << 20;

}  // namespace

struct DigestStream::State {
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  ~State() { EVP_MD_CTX_free(context); }
};

DigestStream::DigestStream(Kind kind) : state_(std::make_unique<State>()) {
  if (!state_->context) throw std::bad_alloc();
  EVP_DigestInit_ex(state_->context, kind == Kind::sha256 ? EVP_sha256() : EVP_sha1(), nullptr);
}

DigestStream::~DigestStream() = default;

void DigestStream::update(std::span<const std::byte> bytes) { EVP_DigestUpdate(state_->context, bytes.data(), bytes.size()); }

std::string DigestStream::finish() {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  EVP_DigestFinal_ex(state_->context, digest, &size);
  return hex({digest, size});
}

std::string sha256_of_file(const std::filesystem::path& path, const std::function<void(uint64_t)>& progress) {
  const MappedFile file(path);
  const auto bytes = file.bytes();
  DigestStream digest;
  for (size_t at = 0; at < bytes.size(); at += kPiece) {
    const auto piece = bytes.subspan(at, std::min(kPiece, bytes.size() - at));
    digest.update(piece);
    if (progress) progress(piece.size());
  }
  return digest.finish();
}

std::string git_blob_name(const std::filesystem::path& path) {
  const MappedFile file(path);
  const auto bytes = file.bytes();
  DigestStream digest(DigestStream::Kind::sha1);
  const std::string head = "blob " + std::to_string(bytes.size());
  digest.update(std::as_bytes(std::span(head.c_str(), head.size() + 1)));
  digest.update(bytes);
  return digest.finish();
}

}  // namespace ingot
