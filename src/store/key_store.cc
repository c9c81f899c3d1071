#include "store/key_store.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <ctime>
#include <sstream>

#include "core/error.h"
#include "core/files.h"
#include "core/nearest.h"

namespace ingot {
namespace {

constexpr std::string_view kPrefix = "ingot_";
constexpr char kAlphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

void random_bytes(std::span<unsigned char> bytes) {
  if (RAND_bytes(bytes.data(), static_cast<int>(bytes.size())) != 1) throw Error(ErrorKind::environment, "the system gives no random numbers", "", "see getrandom(2)");
}

std::string base64url(std::span<const unsigned char> bytes) {
  std::string out;
  uint32_t held = 0;
  int bits = 0;
  for (unsigned char byte : bytes) {
    held = held << 8 | byte;
    for (bits += 8; bits >= 6; bits -= 6) out += kAlphabet[held >> (bits - 6) & 63];
  }
  if (bits) out += kAlphabet[held << (6 - bits) & 63];
  return out;
}

std::string new_key() {
  std::array<unsigned char, 32> bytes;
  random_bytes(bytes);
  std::string key = std::string(kPrefix) + base64url(bytes);
  OPENSSL_cleanse(bytes.data(), bytes.size());
  return key;
}

int64_t number(std::string_view text, std::string_view option, std::string_view whole) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value <= 0 || value > int64_t{1} << 50)
    throw Error(ErrorKind::usage, fmt::format("\"{}\" is not a limit", whole), std::string(option), option == "--rate" ? "write 60/min or 20000tokens/min" : "write 1000000/day or 20000000/month");
  return value;
}

template <class Take>
void each_part(std::string_view text, const Take& take) {
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find(',', begin), text.size());
    take(text.substr(begin, end - begin));
    begin = end + 1;
  }
}

KeyHash hash_column(const Statement& row, int column) {
  KeyHash out{};
  const std::string bytes = row.text(column);
  if (bytes.size() == out.size()) std::memcpy(out.data(), bytes.data(), out.size());
  return out;
}

}  // namespace

void read_rate(std::string_view text, KeyLimits* limits) {
  each_part(text, [&](std::string_view part) {
    std::string_view rest = part;
    if (rest.ends_with("/min")) rest.remove_suffix(4);
    const bool tokens = rest.ends_with("tokens");
    if (tokens) rest.remove_suffix(6);
    (tokens ? limits->tokens_per_minute : limits->requests_per_minute) = number(rest, "--rate", part);
  });
}

void read_quota(std::string_view text, KeyLimits* limits) {
  each_part(text, [&](std::string_view part) {
    std::string_view rest = part;
    const bool month = rest.ends_with("/month");
    if (month) rest.remove_suffix(6);
    if (rest.ends_with("/day")) rest.remove_suffix(4);
    if (rest.ends_with("tokens")) rest.remove_suffix(6);
    (month ? limits->tokens_per_month : limits->tokens_per_day) = number(rest, "--quota", part);
  });
}

int64_t read_expiry(std::string_view text, int64_t now) {
  const std::string whole(text);
  int year = 0, month = 0, day = 0, used = 0;
  if (whole.size() == 10 && std::sscanf(whole.c_str(), "%4d-%2d-%2d%n", &year, &month, &day, &used) == 3 && used == 10) {
    std::tm date{};
    date.tm_year = year - 1900;
    date.tm_mon = month - 1;
    date.tm_mday = day;
    const time_t begin = timegm(&date);
    if (date.tm_mon == month - 1 && date.tm_mday == day && begin + 86400 > now) return begin + 86400;
    throw Error(ErrorKind::usage, "\"" + whole + "\" is not a day to come", "--expires", "write for example 90d");
  }
  const std::string_view units = "hdw";
  const size_t unit = whole.empty() ? units.npos : units.find(whole.back());
  int64_t count = 0;
  const auto [end, error] = std::from_chars(whole.data(), whole.data() + whole.size(), count);
  if (unit == units.npos || error != std::errc() || end + 1 != whole.data() + whole.size() || count <= 0 || count > 100000)
    throw Error(ErrorKind::usage, "\"" + whole + "\" is not a time", "--expires", "write 12h, 90d, 4w or a day as 2027-01-31");
  return now + count * (unit == 0 ? 3600 : unit == 1 ? 86400 : 7 * 86400);
}

bool looks_like_key(std::string_view text) {
  return text.size() == kPrefix.size() + 43 && text.starts_with(kPrefix) && text.find_first_not_of(kAlphabet, kPrefix.size()) == text.npos;
}

bool same_hash(const KeyHash& a, const KeyHash& b) { return CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0; }

KeyHash keyed_hash(const std::array<unsigned char, 32>& secret, std::string_view text) {
  static EVP_MAC* const mac = EVP_MAC_fetch(nullptr, "BLAKE2BMAC", nullptr);
  EVP_MAC_CTX* context = mac ? EVP_MAC_CTX_new(mac) : nullptr;
  size_t size = 32, made = 0;
  const OSSL_PARAM parameters[] = {OSSL_PARAM_construct_size_t(OSSL_MAC_PARAM_SIZE, &size), OSSL_PARAM_construct_end()};
  KeyHash out{};
  const bool good = context && EVP_MAC_init(context, secret.data(), secret.size(), parameters) == 1 &&
                    EVP_MAC_update(context, reinterpret_cast<const unsigned char*>(text.data()), text.size()) == 1 && EVP_MAC_final(context, out.data(), &made, out.size()) == 1;
  EVP_MAC_CTX_free(context);
  if (!good || made != out.size()) throw Error(ErrorKind::environment, "OpenSSL has no BLAKE2b", "", "use OpenSSL 3 with its default provider");
  return out;
}

KeyStore::KeyStore(Database& database) : database_(database) {
  const auto file = database.folder() / "key.secret";
  const auto lock = database.lock();
  int fd = open(file.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0 && errno == ENOENT) {
    Statement any = database.prepare("SELECT count(*) FROM api_key");
    if (any.step() && any.integer(0) > 0) bad_input("the secret of the keys is gone, so none of them can be recognised", file.string(), "restore it from a copy, or remove ingot.db and make new keys");
    random_bytes(secret_);
    // Of two processes that come at once, one links its file first; the other reads it.
    const std::string part = file.string() + ".part" + std::to_string(getpid());
    fd = open(part.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    const bool written = fd >= 0 && write(fd, secret_.data(), secret_.size()) == static_cast<ssize_t>(secret_.size()) && fsync(fd) == 0;
    if (fd >= 0) close(fd);
    const bool linked = written && (link(part.c_str(), file.c_str()) == 0 || errno == EEXIST);
    const int problem = errno;
    unlink(part.c_str());
    if (!linked) throw Error(ErrorKind::environment, std::string("cannot keep the secret of the keys: ") + std::strerror(problem), file.string(), "check permissions and the disk");
    fd = open(file.c_str(), O_RDONLY | O_CLOEXEC);
  }
  if (fd < 0) throw Error(ErrorKind::environment, std::string("cannot read the secret of the keys: ") + std::strerror(errno), file.string(), "run as the user that made it");
  const ssize_t size = read(fd, secret_.data(), secret_.size());
  close(fd);
  if (size != static_cast<ssize_t>(secret_.size())) bad_input("the secret of the keys is cut off", file.string(), "restore it from a copy");
}

KeyHash KeyStore::hash(std::string_view key) const { return keyed_hash(secret_, key); }

std::string KeyStore::create(ApiKey key) {
  if (key.name.empty() || key.name.size() > 100 || std::any_of(key.name.begin(), key.name.end(), [](unsigned char c) { return c < ' ' || c == 0x7f; }))
    throw Error(ErrorKind::usage, "\"" + key.name + "\" is not a name", "NAME", "use 1 to 100 characters");
  if (key.scopes.empty()) key.scopes = {"feedback", "infer", "read"};
  std::string scopes;
  for (const std::string& scope : key.scopes) {
    if (std::find(std::begin(kScopes), std::end(kScopes), scope) == std::end(kScopes)) {
      const std::vector<std::string> known(std::begin(kScopes), std::end(kScopes));
      const std::string near = nearest_name(scope, known);
      throw Error(ErrorKind::usage, "\"" + scope + "\" is not a scope", "--scope", near.empty() ? "choose of admin, chat, classify, embed, feedback, infer, read" : "did you mean \"" + near + "\"?");
    }
    scopes += (scopes.empty() ? "" : " ") + scope;
  }
  const std::string secret = new_key();
  const auto lock = database_.lock();
  Transaction whole(database_);
  Statement taken = database_.prepare("SELECT 1 FROM api_key WHERE name=?");
  if (taken.bind(key.name).step()) throw Error(ErrorKind::usage, "there is a key named \"" + key.name + "\" already", "key new", "choose another name, or ingot key rotate " + key.name);
  database_.prepare("INSERT INTO api_key(name,hash,hint,scopes,requests_per_minute,tokens_per_minute,tokens_per_day,tokens_per_month,priority,created,expires,revoked) VALUES(?,?,?,?,?,?,?,?,?,?,?,0)")
      .bind(key.name)
      .bind_bytes(hash(secret))
      .bind(secret.substr(0, kPrefix.size() + 4))
      .bind(scopes)
      .bind(key.limits.requests_per_minute)
      .bind(key.limits.tokens_per_minute)
      .bind(key.limits.tokens_per_day)
      .bind(key.limits.tokens_per_month)
      .bind(int64_t{key.priority})
      .bind(static_cast<int64_t>(std::time(nullptr)))
      .bind(key.expires)
      .run();
  whole.commit();
  return secret;
}

std::string KeyStore::rotate(const std::string& name, int64_t grace) {
  const std::string secret = new_key();
  const auto lock = database_.lock();
  database_.prepare("UPDATE api_key SET previous=hash, previous_until=?, hash=?, hint=? WHERE name=? AND revoked=0")
      .bind(static_cast<int64_t>(std::time(nullptr)) + grace)
      .bind_bytes(hash(secret))
      .bind(secret.substr(0, kPrefix.size() + 4))
      .bind(name)
      .run();
  if (database_.changed() != 1) bad_input("there is no key named \"" + name + "\" that works", "key rotate", "see ingot key list");
  return secret;
}

void KeyStore::revoke(const std::string& name) {
  const auto lock = database_.lock();
  database_.prepare("UPDATE api_key SET revoked=? WHERE name=? AND revoked=0").bind(static_cast<int64_t>(std::time(nullptr))).bind(name).run();
  if (database_.changed() != 1) bad_input("there is no key named \"" + name + "\" that works", "key revoke", "see ingot key list");
}

std::vector<ApiKey> KeyStore::list() const {
  const auto lock = database_.lock();
  Statement rows = database_.prepare(
      "SELECT id,name,hash,hint,previous,previous_until,scopes,requests_per_minute,tokens_per_minute,tokens_per_day,tokens_per_month,priority,created,expires,revoked FROM api_key ORDER BY name");
  std::vector<ApiKey> out;
  while (rows.step()) {
    ApiKey key;
    key.id = rows.integer(0);
    key.name = rows.text(1);
    key.hash = hash_column(rows, 2);
    key.hint = rows.text(3);
    if (!rows.text(4).empty()) key.previous = hash_column(rows, 4);
    key.previous_until = rows.integer(5);
    std::istringstream words(rows.text(6));
    for (std::string scope; words >> scope;) key.scopes.push_back(scope);
    key.limits = {rows.integer(7), rows.integer(8), rows.integer(9), rows.integer(10)};
    key.priority = static_cast<int>(rows.integer(11));
    key.created = rows.integer(12);
    key.expires = rows.integer(13);
    key.revoked = rows.integer(14);
    out.push_back(std::move(key));
  }
  return out;
}

}  // namespace ingot
