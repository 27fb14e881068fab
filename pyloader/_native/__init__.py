"""The native loader as Python sees it: settings, hooks, prefetching."""
