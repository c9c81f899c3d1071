#include "formats/archive_keys.h"

#include <openssl/evp.h>
#include <openssl/rand.h>

#include <memory>

#include "core/error.h"
#include "formats/archive.h"

namespace ingot {
namespace {

using Key = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
using Context = std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)>;

const unsigned char* raw(std::string_view bytes) { return reinterpret_cast<const unsigned char*>(bytes.data()); }

Key private_key(std::string_view seed) {
  Key key(seed.size() == 32 ? EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, raw(seed), seed.size()) : nullptr, EVP_PKEY_free);
  if (!key) bad_input("the signing key has " + std::to_string(seed.size()) + " bytes, an Ed25519 seed has 32", "key", "make one with: head -c 32 /dev/urandom > KEY");
  return key;
}

}  // namespace

SigningKey make_signing_key() {
  std::string seed(32, '\0');
  if (RAND_priv_bytes(reinterpret_cast<unsigned char*>(seed.data()), 32) != 1) {
    throw Error(ErrorKind::environment, "no random numbers from the system", "key", "check that getrandom works here");
  }
  std::string public_key = signing_public_key(seed);
  return {std::move(seed), std::move(public_key)};
}

std::string signing_public_key(std::string_view seed) {
  Key key = private_key(seed);
  std::string bytes(32, '\0');
  size_t size = bytes.size();
  EVP_PKEY_get_raw_public_key(key.get(), reinterpret_cast<unsigned char*>(bytes.data()), &size);
  return bytes;
}

std::string ed25519_sign(std::string_view seed, std::string_view message) {
  Key key = private_key(seed);
  Context context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
  std::string signature(64, '\0');
  size_t size = signature.size();
  if (EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, key.get()) != 1 ||
      EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(signature.data()), &size, raw(message), message.size()) != 1) {
    throw Error(ErrorKind::environment, "OpenSSL refuses to sign with Ed25519", "key", "check the installed OpenSSL");
  }
  return signature;
}

bool ed25519_verify(std::string_view public_key, std::string_view message, std::string_view signature) {
  Key key(EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, raw(public_key), public_key.size()), EVP_PKEY_free);
  Context context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
  return key && EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, key.get()) == 1 &&
         EVP_DigestVerify(context.get(), raw(signature), signature.size(), raw(message), message.size()) == 1;
}

}  // namespace ingot
