#include "bind/gil.h"

#include "memory/process.h"

#include <chrono>
#include <mutex>
#include <thread>

namespace pyloader {
namespace {

// Of the threads whose state was made here. The count of PyGILState_Ensure stays above 0.
struct KeptState {
  bool is_kept = false;
  ~KeptState() {
    if (!is_kept || python_is_finalizing()) return;
    run_python([] {
      PyGILState_Ensure();
      PyGILState_Release(PyGILState_LOCKED);
      PyGILState_Release(PyGILState_UNLOCKED);  // the last one: the state goes, and the GIL
    });
  }
};

thread_local KeptState kept_state;

}  // namespace

void keep_thread_state() {
  if (PyGILState_GetThisThreadState() != nullptr) return;
  const std::lock_guard lock(forks_wait_for());
  kept_state.is_kept = PyThreadState_New(PyInterpreterState_Main()) != nullptr;
}

void sleep_for_ever() {
  for (;;) std::this_thread::sleep_for(std::chrono::hours(1));
}

bool python_is_finalizing() {
#if PY_VERSION_HEX >= 0x030D0000
  return Py_IsFinalizing() != 0;
#else
  return _Py_IsFinalizing() != 0;
#endif
}

}  // namespace pyloader
