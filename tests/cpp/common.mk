# What all Makefiles that build the core without Python share. ROOT is the repository.
#
# PYLOADER_JPEG_ROOT names the prefix of a libjpeg-turbo that is not where the compiler looks.
ifdef PYLOADER_JPEG_ROOT
JPEG_CFLAGS := -isystem $(PYLOADER_JPEG_ROOT)/include
JPEG_DIRS := $(wildcard $(PYLOADER_JPEG_ROOT)/lib $(PYLOADER_JPEG_ROOT)/lib64)
JPEG_LIBS := $(JPEG_DIRS:%=-L%) $(JPEG_DIRS:%=-Wl,-rpath,%) -ljpeg
else
JPEG_CFLAGS := $(shell pkg-config --cflags libjpeg 2>/dev/null)
JPEG_LIBS := $(or $(shell pkg-config --libs libjpeg 2>/dev/null),-ljpeg)
endif
JPEG_LIBS += $(if $(filter Linux,$(shell uname)),-ldl)  # in the C library since glibc 2.34

# As the extension is built, but with asserts, and with the debug information that traces need.
FLAGS := -std=c++20 -O1 -g1 -ffp-contract=off -D_GLIBCXX_ASSERTIONS -pthread \
    -Wall -Wextra -Wshadow -Wconversion -Werror -I$(ROOT)/csrc -I$(ROOT)/tests/cpp \
    $(JPEG_CFLAGS) -MMD -MP
CXXFLAGS ?=
SANITIZE := -fsanitize=address,undefined -fno-sanitize-recover=all

CORE := $(sort $(filter-out $(ROOT)/csrc/bind/%,$(wildcard $(ROOT)/csrc/*/*.cpp)))

# One job per core, unless the caller has said a number or is another one of these Makefiles.
ifeq ($(filter -j% --jobserver%,$(MAKEFLAGS))$(PYLOADER_JOBS),)
export PYLOADER_JOBS := $(shell nproc 2>/dev/null || echo 2)
MAKEFLAGS += -j$(PYLOADER_JOBS)
endif
