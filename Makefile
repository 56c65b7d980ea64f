# The library for C and the command, built by cargo and installed for pkg-config, CMake and plain compilers.
#
#     make                               build both
#     make install                       into PREFIX (/usr/local), below DESTDIR if that is set
#     make install-library               the library and the headers only: takes seconds, and needs no crate but two
#     make install-units             what systemd needs to know of the agent
#     make deb                           a Debian package in target/debian, by cargo-deb

PREFIX ?= /usr/local
LIBDIR ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
BINDIR ?= $(PREFIX)/bin
MANDIR ?= $(PREFIX)/share/man
UNITDIR ?= $(PREFIX)/lib/systemd/system
SYSUSERSDIR ?= $(PREFIX)/lib/sysusers.d
# Where cargo and this file put what they build.
TARGET := $(or $(CARGO_TARGET_DIR),target)
CARGO ?= cargo
INSTALL ?= install
STRIP ?= strip

VERSION := $(shell sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"/\1/p' Cargo.toml)
LIBRARIES := libmcrpc libmcrpc_wire

.PHONY: all library command install install-library install-command install-units deb clean

all: library command

ifneq ($(shell command -v $(firstword $(CARGO)) 2>/dev/null),)
library:
	CARGO="$(CARGO)" ffi/artefact/build "$(TARGET)/library"

command:
	$(CARGO) build --release --locked -p mcrpc-command --target-dir "$(TARGET)"
else
# Who installs as another user (sudo make install) may have no cargo, and installs what was built.
library: built = $(TARGET)/library/libmcrpc.so
command: built = $(TARGET)/release/mcrpc
library command:
	@[ -e "$(built)" ] || { echo "no $(CARGO) in PATH, and no $(built): run make as a user who has cargo (rustup.rs)" >&2; exit 1; }
	@echo "no $(CARGO) in PATH: $(built) is taken as it was built"
endif

install: install-library install-command install-units

install-library: library
	$(INSTALL) -d "$(DESTDIR)$(LIBDIR)/pkgconfig" "$(DESTDIR)$(LIBDIR)/cmake/mcrpc" "$(DESTDIR)$(INCLUDEDIR)"
	$(INSTALL) -m 644 include/mcrpc.h include/mcrpc.hpp include/mcrpc_generate.h "$(DESTDIR)$(INCLUDEDIR)"
	$(INSTALL) -m 644 "$(TARGET)/library/libmcrpc.a" "$(TARGET)/library/libmcrpc.so" "$(DESTDIR)$(LIBDIR)"
	# A program that starts meanwhile finds the old one or the new one, whole.
	for name in $(LIBRARIES); do \
	    file="$(DESTDIR)$(LIBDIR)/$$name.so.$(VERSION)" && \
	    $(STRIP) --strip-unneeded -o "$$file.new" "$(TARGET)/library/$$name.so.0" && \
	    chmod 644 "$$file.new" && mv -f "$$file.new" "$$file" && \
	    ln -sf $$name.so.$(VERSION) "$(DESTDIR)$(LIBDIR)/$$name.so.0" || exit 1; \
	done
	sed -e 's|@PREFIX@|$(PREFIX)|; s|@LIBDIR@|$(LIBDIR)|; s|@INCLUDEDIR@|$(INCLUDEDIR)|; s|@VERSION@|$(VERSION)|' \
	    packaging/mcrpc.pc.in > "$(DESTDIR)$(LIBDIR)/pkgconfig/mcrpc.pc"
	sed -e 's|@VERSION@|$(VERSION)|g; s|@INCLUDEDIR@|$(INCLUDEDIR)|' packaging/mcrpcConfig.cmake.in \
	    > "$(DESTDIR)$(LIBDIR)/cmake/mcrpc/mcrpcConfig.cmake"
	sed -e 's|@VERSION@|$(VERSION)|g' packaging/mcrpcConfigVersion.cmake.in > "$(DESTDIR)$(LIBDIR)/cmake/mcrpc/mcrpcConfigVersion.cmake"

install-command: command
	$(INSTALL) -d "$(DESTDIR)$(BINDIR)" "$(DESTDIR)$(MANDIR)/man1"
	$(INSTALL) -m 755 "$(TARGET)/release/mcrpc" "$(DESTDIR)$(BINDIR)"
	"$(TARGET)/release/mcrpc" man "$(DESTDIR)$(MANDIR)/man1"

install-units:
	$(INSTALL) -d "$(DESTDIR)$(UNITDIR)" "$(DESTDIR)$(SYSUSERSDIR)"
	sed -e 's|@BINDIR@|$(BINDIR)|' packaging/systemd/mcrpc-agent.service > "$(DESTDIR)$(UNITDIR)/mcrpc-agent.service"
	$(INSTALL) -m 644 packaging/systemd/mcrpc.sysusers "$(DESTDIR)$(SYSUSERSDIR)/mcrpc.conf"

deb:
	rm -rf target/stage
	$(MAKE) install DESTDIR="$(CURDIR)/target/stage" PREFIX=/usr LIBDIR=/usr/lib
	$(CARGO) deb --no-build --no-strip -p mcrpc-command

clean:
	rm -rf "$(TARGET)/library" target/stage "$(TARGET)/debian"
