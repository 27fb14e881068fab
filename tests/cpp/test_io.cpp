// Files as bytes, whatever stands at the path.
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#include <dirent.h>
#include <fcntl.h>

#include <string>
#include <vector>

#include "check.h"
#include "inputs.h"
#include "io/file_source.h"

using namespace pyloader;
using namespace pyloader::testing;

namespace {

constexpr size_t kWindow = FileSource::kWindow;

std::vector<uint8_t> noise(size_t size) {
  std::vector<uint8_t> content(size);
  Random random(static_cast<uint32_t>(size));
  random.fill(content);
  return content;
}

int open_descriptors() {
  int count = 0;
  if (DIR* folder = ::opendir("/proc/self/fd")) {
    while (::readdir(folder) != nullptr) ++count;
    ::closedir(folder);
  }
  return count;
}

void check_refused(const std::string& path, const char* word) {
  FileSource file;
  const Status status = file.open(path.c_str());
  check(status.code() == StatusCode::kReadFailed, path);
  check(status.reason().find(word) != std::string::npos, status.reason());
  check(file.window().empty() && file.bytes_read() == 0, "no bytes of " + path);
}

void files_come_back_whole() {
  TemporaryFolder folder;
  FileSource file;
  for (const size_t size : {size_t{0}, size_t{1}, size_t{4095}, kWindow - 1, kWindow, kWindow + 1,
                            2 * kWindow, 2 * kWindow + 5}) {
    const std::vector<uint8_t> content = noise(size);
    const std::string path = folder.write("file", content);
    const std::string name = std::to_string(size) + " bytes";
    check(file.open(path.c_str()).ok(), name);
    check_equal(file.size(), uint64_t{size}, name);
    check_equal(file.window().size(), std::min(size, kWindow), name);
    std::vector<uint8_t> read = {42};
    check(read_all(file, size + 1, read).ok(), name);
    check_equal(file.bytes_read(), uint64_t{size}, name);
    check(read.front() == 42, "read_all appends");
    read.erase(read.begin());
    check(read == content, name);
    check(!file.refill() && !file.refill(), "the end stays the end");
    check(file.status().ok(), name);
  }
}

void a_limit_is_kept() {
  TemporaryFolder folder;
  FileSource file;
  const std::vector<uint8_t> content = noise(kWindow + 100);
  const std::string path = folder.write("file", content);
  for (const size_t limit : {size_t{0}, size_t{1}, kWindow - 1, kWindow, kWindow + 99}) {
    std::vector<uint8_t> read;
    check(file.open(path.c_str()).ok());
    check(read_all(file, limit, read).code() == StatusCode::kTooLarge, std::to_string(limit));
    check(read.size() <= limit);
  }
  std::vector<uint8_t> read;
  check(file.open(path.c_str()).ok());
  check(read_all(file, kWindow + 100, read).ok() && read == content);
}

void a_missing_file_is_refused() {
  TemporaryFolder folder;
  check_refused(folder.path("nothing"), "No such file");
  check_refused("", "No such file");
  folder.write("file", noise(3));
  check_refused(folder.path("file/below"), "Not a directory");
  check_refused(folder.path(std::string(5000, 'x')), "too long");
}

void a_folder_is_refused() {
  TemporaryFolder folder;
  check_refused(folder.path(""), "directory");
  check_refused(folder.path("."), "directory");
}

void a_pipe_is_refused_at_once() {
  TemporaryFolder folder;
  const std::string path = folder.path("pipe.jpg");
  check(::mkfifo(path.c_str(), 0600) == 0);
  check_refused(path, "not a regular file");  // with no writer, a plain open would wait for ever
  const int writer = ::open(path.c_str(), O_RDWR);
  check(::write(writer, "data", 4) == 4);
  check_refused(path, "not a regular file");
  ::close(writer);
}

void a_device_is_refused() {
  check_refused("/dev/zero", "not a regular file");
  check_refused("/dev/null", "not a regular file");
}

void an_unreadable_file_is_refused() {
  TemporaryFolder folder;
  const std::string path = folder.write("secret.jpg", noise(10));
  check(::chmod(path.c_str(), 0) == 0);
  const bool is_root = ::geteuid() == 0;
  if (is_root) check(::seteuid(65534) == 0, "become nobody");
  check_refused(path, "Permission denied");
  if (is_root) check(::seteuid(0) == 0, "become root again");
}

void a_read_that_fails_is_told() {
  // Nothing is mapped at address zero of this process, and the kernel says so on reading.
  FileSource file;
  const Status status = file.open("/proc/self/mem");
  check(status.code() == StatusCode::kReadFailed && !status.reason().empty());
  check(file.status().code() == StatusCode::kReadFailed);
  check(!file.refill());
}

void a_file_cut_while_open_just_ends() {
  TemporaryFolder folder;
  const std::vector<uint8_t> content = noise(3 * kWindow);
  const std::string path = folder.write("file", content);
  FileSource file;
  check(file.open(path.c_str()).ok());
  check(::truncate(path.c_str(), static_cast<off_t>(kWindow + 7)) == 0);
  std::vector<uint8_t> read;
  check(read_all(file, content.size(), read).ok());
  check(read == std::vector<uint8_t>(content.begin(), content.begin() + kWindow + 7));
}

void links_are_followed() {
  TemporaryFolder folder;
  const std::vector<uint8_t> content = noise(100);
  const std::string path = folder.write("file", content);
  check(::symlink(path.c_str(), folder.path("link").c_str()) == 0);
  check(::symlink(folder.path("loop").c_str(), folder.path("loop").c_str()) == 0);
  FileSource file;
  check(file.open(folder.path("link").c_str()).ok());
  check(file.window().size() == 100);
  check_refused(folder.path("loop"), "symbolic");
}

void a_source_recovers_and_leaks_nothing() {
  TemporaryFolder folder;
  const std::vector<uint8_t> small = noise(10), large = noise(kWindow + 10);
  const std::string small_path = folder.write("small", small);
  const std::string large_path = folder.write("large", large);
  const int before = open_descriptors();
  {
    FileSource file;
    for (int i = 0; i < 30; ++i) {
      check(!file.open(folder.path("nothing").c_str()).ok());
      check(file.open(large_path.c_str()).ok());  // left half-way
      check(!file.open(folder.path(".").c_str()).ok());
      check(file.open(small_path.c_str()).ok());
      check(std::equal(small.begin(), small.end(), file.window().begin(), file.window().end()));
      file.close();
      file.close();
      check(file.window().empty());
      check(file.open(large_path.c_str()).ok());
    }
  }
  check_equal(open_descriptors(), before, "open files");
}

}  // namespace

int main(int argc, char** argv) {
  return run_tests(
      argc, argv,
      {
          {"files of every size come back whole", files_come_back_whole},
          {"a limit on bytes is kept", a_limit_is_kept},
          {"a missing file is refused", a_missing_file_is_refused},
          {"a folder is refused", a_folder_is_refused},
          {"a pipe is refused without waiting for its writer", a_pipe_is_refused_at_once},
          {"a device is refused", a_device_is_refused},
          {"an unreadable file is refused", an_unreadable_file_is_refused},
          {"a read that fails is told", a_read_that_fails_is_told},
          {"a file that is cut while open just ends", a_file_cut_while_open_just_ends},
          {"links are followed", links_are_followed},
          {"a source recovers from failures and leaks no descriptor",
           a_source_recovers_and_leaks_nothing},
      });
}
