#include "cache/network_folder.h"

#if defined(__linux__)
#include <sys/vfs.h>
#endif

#include <algorithm>
#include <cstdint>

namespace pyloader {

bool is_network_folder([[maybe_unused]] const std::string& folder) {
#if defined(__linux__)
  // NFS, SMB, CIFS, SMB2, AFS, Coda, Ceph, Lustre, GPFS, 9P, OCFS2, and whatever FUSE hides.
  constexpr uint32_t kTypes[] = {0x6969,     0x517b,     0xff534d42, 0xfe534d42,
                                 0x5346414f, 0x73757245, 0x00c36400, 0x0bd00bd0,
                                 0x47504653, 0x01021997, 0x7461636f, 0x65735546};
  struct statfs info;
  if (::statfs(folder.c_str(), &info) != 0) return false;
  const auto type = static_cast<uint32_t>(info.f_type);
  return std::find(std::begin(kTypes), std::end(kTypes), type) != std::end(kTypes);
#else
  return false;
#endif
}

}  // namespace pyloader
