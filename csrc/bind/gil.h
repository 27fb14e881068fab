// Into Python and out of it, and what becomes of threads that are in it when the interpreter ends.
//
// Note [end of the interpreter]: until 3.14, CPython ends a thread that wants the GIL while the
// interpreter goes down by unwinding its stack. That would meet destructors, which let go of Python
// objects without the GIL, or terminate the process. From 3.14 on the thread sleeps until the
// process ends. So it does here, in every version: nobody may wait for a thread that can be in
// Python then.
#pragma once

#include <Python.h>

#ifdef __GLIBCXX__
#include <cxxabi.h>
#endif

namespace pyloader {

[[noreturn]] void sleep_for_ever();

// True when the interpreter is going down and no thread may enter it any more.
bool python_is_finalizing();

// Runs Python code. `call` takes and returns plain pointers: no object with a destructor may live
// in it, or in what it calls on this side of Python. Note [end of the interpreter].
template <class Call>
auto run_python(const Call& call) -> decltype(call()) {
#ifdef __GLIBCXX__
  try {
    return call();
  } catch (abi::__forced_unwind&) {
    sleep_for_ever();  // leaving the handler would terminate the process
  }
#else
  return call();
#endif
}

// Lets other threads into Python while it lives; made with the GIL, which it takes back at its end.
class WithoutGil {
 public:
  WithoutGil() : state_(PyEval_SaveThread()) {}
  ~WithoutGil() {
    run_python([this] { PyEval_RestoreThread(state_); });
  }
  WithoutGil(const WithoutGil&) = delete;
  WithoutGil& operator=(const WithoutGil&) = delete;

 private:
  PyThreadState* const state_;
};

// Gives a thread that Python does not know a state of its own, which stays until the thread ends.
//
// Note [thread states]: PyGILState_Ensure would make one for each call. CPython takes a lock for
// that without the GIL, and 3.11 hangs in the child of a fork that another thread makes meanwhile.
// So each thread makes one only, and no fork comes in between.
void keep_thread_state();

// Holds the GIL while it lives; any thread may make it, with or without the GIL.
class WithGil {
 public:
  WithGil() : state_(ensure()) {}
  ~WithGil() {
    run_python([this] { PyGILState_Release(state_); });
  }
  WithGil(const WithGil&) = delete;
  WithGil& operator=(const WithGil&) = delete;

 private:
  static PyGILState_STATE ensure() {
    keep_thread_state();
    return run_python([] { return PyGILState_Ensure(); });
  }

  const PyGILState_STATE state_;
};

}  // namespace pyloader
