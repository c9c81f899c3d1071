#include "core/files.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "core/error.h"

namespace ingot {
namespace {

namespace fs = std::filesystem;

// What is written is renamed into place: a link must stay one, and a pipe or a device must not be replaced by a file.
TEST(WriteFile, GoesBehindLinksAndReplacesNoPipe) {
  const fs::path folder = fs::path(testing::TempDir()) / ("write_file" + std::to_string(getpid()));
  fs::create_directories(folder);
  write_file(folder / "file", "one");
  fs::create_symlink("file", folder / "link");
  write_file(folder / "link", "two");
  EXPECT_TRUE(fs::is_symlink(folder / "link"));
  EXPECT_EQ(read_file(folder / "file"), "two");
  ASSERT_EQ(mkfifo((folder / "pipe").c_str(), 0600), 0);
  try {
    write_file(folder / "pipe", "three");
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind, ErrorKind::environment);
  }
  EXPECT_THROW(check_output(folder / "pipe"), Error);  // before the work, too
  EXPECT_TRUE(fs::is_fifo(folder / "pipe"));
  EXPECT_THROW(write_file(folder, "four"), Error);
  fs::remove_all(folder);
}

}  // namespace
}  // namespace ingot
