# Installing and packaging. Included by the Makefile.
#
#   install, uninstall   PREFIX, LIBDIR and DESTDIR as everywhere
#   dist                 build/zcrm-VERSION-linux-ARCH.tar.gz: that prefix, with checksums, SBOMs and licences; and a zip for Windows (packaging/dist)
#   deb                  build/libzcrm0_….deb, libzcrm-dev_….deb, zcrm_….deb and zcrm-emulator_….deb
#
# What install puts here is built for this machine; what dist and deb make loads on older ones too (packaging/portable).
#
# Plain install(1) and not cargo-c: that one builds everything a second time in a layout of its own, its .pc isn't relocatable, and the
# C++ header, the CMake package and the manifest would be installed from here all the same.

PREFIX ?= /usr/local
LIBDIR ?= $(PREFIX)/lib
BINDIR ?= $(PREFIX)/bin
INCLUDEDIR ?= $(PREFIX)/include
DATADIR ?= $(PREFIX)/share
DESTDIR ?=
CARGO ?= cargo
INSTALL ?= install

ZCRM_ROOT := $(abspath $(dir $(lastword $(MAKEFILE_LIST)))..)
ZCRM_VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p;' $(ZCRM_ROOT)/Cargo.toml | head -1)
ZCRM_SOVERSION := $(shell sed -n 's/.*-soname,libzcrm\.so\.\([0-9]*\).*/\1/p' $(ZCRM_ROOT)/build.rs)
ZCRM_ABI := $(shell sed -n 's/^\#define ZCRM_ABI_VERSION //p' $(ZCRM_ROOT)/include/zcrm.h)
ZCRM_TARGET := $(or $(CARGO_TARGET_DIR),$(ZCRM_ROOT)/target)
ZCRM_RELEASE ?= $(ZCRM_TARGET)/release
ZCRM_ARCH ?= $(shell uname -m | sed 's/x86_64/amd64/;s/aarch64/arm64/')

# What the archive needs beside itself: rustc --print native-static-libs. A test compares.
ZCRM_NATIVE_LIBS := -lgcc_s -lutil -lrt -lpthread -lm -ldl -lc

ZCRM_LIB := $(DESTDIR)$(LIBDIR)
ZCRM_CMAKE := $(ZCRM_LIB)/cmake/zcrm
# Those of the command are made from its arguments: make generated.
ZCRM_PAGES = $(wildcard $(ZCRM_ROOT)/packaging/man/*.1)
ZCRM_DOCS = $(wildcard $(addprefix $(ZCRM_ROOT)/,README.md CHANGELOG.md SECURITY.md LICENSE-MIT LICENSE-APACHE))
ZCRM_INSTALLED = $(addprefix $(ZCRM_LIB)/,libzcrm.so libzcrm.so.$(ZCRM_SOVERSION) libzcrm.so.$(ZCRM_VERSION) \
	libzcrm.a pkgconfig/zcrm.pc cmake/zcrm zcrm) $(addprefix $(DESTDIR)$(INCLUDEDIR)/,zcrm.h zcrm.hpp) $(addprefix $(DESTDIR)$(BINDIR)/,zcrm zcrm-emulator) \
	$(addprefix $(DESTDIR)$(DATADIR)/man/man1/,$(notdir $(ZCRM_PAGES))) \
	$(DESTDIR)$(DATADIR)/bash-completion/completions/zcrm $(DESTDIR)$(DATADIR)/zsh/site-functions/_zcrm \
	$(DESTDIR)$(DATADIR)/fish/vendor_completions.d/zcrm.fish \
	$(DESTDIR)$(DATADIR)/doc/zcrm

# Folders that install may have made, each before the one that it is in. Uninstall removes those that are empty.
ZCRM_FOLDERS = $(addprefix $(ZCRM_LIB)/,cmake pkgconfig) $(addprefix $(DESTDIR)$(DATADIR)/,doc man/man1 bash-completion/completions \
	bash-completion zsh/site-functions zsh fish/vendor_completions.d fish)

# Fills in a template; paths are relative to where the file will lie, so that the prefix can be moved.
#   $(call zcrm_fill,TEMPLATE,FILE)
zcrm_relative = $(shell realpath -m --relative-to="$(1)" "$(2)")
define zcrm_fill
sed -e 's|@VERSION@|$(ZCRM_VERSION)|g' -e 's|@SOVERSION@|$(ZCRM_SOVERSION)|g' -e 's|@ABI@|$(ZCRM_ABI)|g' -e 's|@ARCH@|$(ZCRM_ARCH)|g' \
	-e 's|@LIBDIR@|$(call zcrm_relative,$(dir $(2)),$(ZCRM_LIB))|g' -e 's|@INCLUDEDIR@|$(call zcrm_relative,$(dir $(2)),$(DESTDIR)$(INCLUDEDIR))|g' \
	-e 's|@NATIVE_LIBS@|$(ZCRM_NATIVE_LIBS)|g' $(ZCRM_ROOT)/packaging/$(1) > $(2)
chmod 644 $(2)
endef

.PHONY: zcrm-release zcrm-emulator zcrm-command zcrm-files install uninstall dist deb notices

# Panics name their source by path: shortened, no path of the machine that builds stands in the library, and it is 15 KB smaller.
ZCRM_REMAP = $$(printf -- '--remap-path-prefix=%s= ' "$${CARGO_HOME:-$$HOME/.cargo}"/registry/src/*/ "$$(rustc --print sysroot)/lib/rustlib/src/")

# The C libraries alone: with the Rust library beside them there is no link-time optimisation, and they are a third larger.
zcrm-release:
	@cd $(ZCRM_ROOT) && $(CARGO) fetch --quiet --locked
	@echo "building libzcrm, optimised (the first time takes two to five minutes)"
	@began=$$(date +%s); cd $(ZCRM_ROOT) && RUSTFLAGS="$(RUSTFLAGS) $(ZCRM_REMAP)" \
		$(CARGO) rustc --quiet --release --locked --lib --crate-type cdylib,staticlib && echo "built in $$(($$(date +%s) - began)) s"

zcrm-emulator:
	@cd $(ZCRM_ROOT) && $(CARGO) fetch --quiet --locked
	@echo "building the emulator, optimised"
	@cd $(ZCRM_ROOT) && RUSTFLAGS="$(RUSTFLAGS) $(ZCRM_REMAP)" $(CARGO) build --quiet --release --locked --package zcrm-emulator

# In a folder of its own: what it is built on is the library for Rust, whose files have the names of those for C.
zcrm-command:
	@cd $(ZCRM_ROOT) && $(CARGO) fetch --quiet --locked
	@echo "building the command, optimised"
	@cd $(ZCRM_ROOT) && RUSTFLAGS="$(RUSTFLAGS) $(ZCRM_REMAP)" $(CARGO) build --quiet --release --locked --package zcrm-cli --target-dir $(ZCRM_TARGET)/command
	@$(INSTALL) -D $(ZCRM_TARGET)/command/release/zcrm $(ZCRM_RELEASE)/zcrm

install: ## the library with its headers, pkg-config and CMake files, the command and the emulator, below PREFIX
	@$(ZCRM_ROOT)/scripts/setup install
	@$(MAKE) --no-print-directory -C $(ZCRM_ROOT) zcrm-release zcrm-emulator zcrm-command zcrm-files
	@$(if $(DESTDIR),,echo "installed below $(PREFIX). Let the loader find it: run ldconfig (as root), or set LD_LIBRARY_PATH=$(LIBDIR);" \
		"with a prefix of your own set PKG_CONFIG_PATH=$(LIBDIR)/pkgconfig too.")

# Installs what was built, and builds nothing.
zcrm-files:
	$(INSTALL) -d $(ZCRM_LIB)/pkgconfig $(ZCRM_CMAKE) $(ZCRM_LIB)/zcrm $(DESTDIR)$(BINDIR) $(DESTDIR)$(INCLUDEDIR) $(DESTDIR)$(DATADIR)/doc/zcrm \
		$(DESTDIR)$(DATADIR)/man/man1
	$(INSTALL) -m 755 $(ZCRM_RELEASE)/zcrm $(ZCRM_RELEASE)/zcrm-emulator $(DESTDIR)$(BINDIR)
	$(INSTALL) -m 644 $(ZCRM_PAGES) $(DESTDIR)$(DATADIR)/man/man1
	$(INSTALL) -D -m 644 $(ZCRM_ROOT)/packaging/completions/zcrm.bash $(DESTDIR)$(DATADIR)/bash-completion/completions/zcrm
	$(INSTALL) -D -m 644 $(ZCRM_ROOT)/packaging/completions/_zcrm $(DESTDIR)$(DATADIR)/zsh/site-functions/_zcrm
	$(INSTALL) -D -m 644 $(ZCRM_ROOT)/packaging/completions/zcrm.fish $(DESTDIR)$(DATADIR)/fish/vendor_completions.d/zcrm.fish
	$(INSTALL) -m 755 $(ZCRM_RELEASE)/libzcrm.so $(ZCRM_LIB)/libzcrm.so.$(ZCRM_VERSION)
	ln -sf libzcrm.so.$(ZCRM_VERSION) $(ZCRM_LIB)/libzcrm.so.$(ZCRM_SOVERSION)
	ln -sf libzcrm.so.$(ZCRM_SOVERSION) $(ZCRM_LIB)/libzcrm.so
	$(INSTALL) -m 644 $(ZCRM_RELEASE)/libzcrm.a $(ZCRM_LIB)/libzcrm.a
	$(INSTALL) -m 644 $(ZCRM_ROOT)/include/zcrm.h $(ZCRM_ROOT)/include/zcrm.hpp $(DESTDIR)$(INCLUDEDIR)
	$(call zcrm_fill,zcrm.pc.in,$(ZCRM_LIB)/pkgconfig/zcrm.pc)
	$(call zcrm_fill,cmake/zcrmConfig.cmake.in,$(ZCRM_CMAKE)/zcrmConfig.cmake)
	$(call zcrm_fill,cmake/zcrmConfigVersion.cmake.in,$(ZCRM_CMAKE)/zcrmConfigVersion.cmake)
	$(call zcrm_fill,zcrm.manifest.toml.in,$(ZCRM_LIB)/zcrm/zcrm.manifest.toml)
	$(if $(ZCRM_DOCS),$(INSTALL) -m 644 $(ZCRM_DOCS) $(DESTDIR)$(DATADIR)/doc/zcrm)

uninstall: ## what install put below PREFIX
	rm -rf $(ZCRM_INSTALLED)
	rmdir $(ZCRM_FOLDERS) 2>/dev/null || true

dist: ## build/zcrm-….tar.gz for glibc 2.17 and musl, amd64 and arm64, and a zip for Windows, with checksums, SBOMs and licences; TARGETS=… only these of Rust's
	@$(ZCRM_ROOT)/scripts/setup dist
	@$(ZCRM_ROOT)/packaging/dist $(TARGETS)

# debhelper in a directory of its own: it makes the shlibs, the ldconfig trigger and the checksums that dpkg wants.
# Whoever publishes the package puts a name and an address here.
ZCRM_MAINTAINER ?= zcrm maintainers <zcrm@localhost>

# The time of the last commit, so that the same commit gives the same package.
ZCRM_EPOCH = $(or $(SOURCE_DATE_EPOCH),$(shell git -C $(ZCRM_ROOT) log -1 --format=%ct))
ZCRM_HOST = $(shell rustc -vV | sed -n 's/^host: //p')

ZCRM_BUILD := $(ZCRM_ROOT)/build
ZCRM_DEB := $(ZCRM_BUILD)/deb/zcrm
deb: ## Debian packages, in build
	@$(ZCRM_ROOT)/scripts/setup deb
	@$(ZCRM_ROOT)/packaging/portable $(ZCRM_HOST)
	rm -rf $(ZCRM_BUILD)/deb && mkdir -p $(ZCRM_DEB)
	cp -r $(ZCRM_ROOT)/packaging/debian $(ZCRM_DEB)/debian
	$(ZCRM_ROOT)/packaging/licences/collect $(ZCRM_DEB)/licences
	sed -i 's/@MAINTAINER@/$(ZCRM_MAINTAINER)/' $(ZCRM_DEB)/debian/control
	printf 'zcrm (%s) unstable; urgency=medium\n\n  * Release %s.\n\n -- $(ZCRM_MAINTAINER)  %s\n' \
		$(ZCRM_VERSION) $(ZCRM_VERSION) "$$(date -R -u -d @$(ZCRM_EPOCH))" > $(ZCRM_DEB)/debian/changelog
	cd $(ZCRM_DEB) && ZCRM_ROOT=$(ZCRM_ROOT) ZCRM_RELEASE=$(ZCRM_TARGET)/$(ZCRM_HOST)/release \
		dpkg-buildpackage --build=binary --no-sign --no-pre-clean --no-check-builddeps
	mv $(ZCRM_BUILD)/deb/*.deb $(ZCRM_BUILD)/

notices: ## packaging/licences/crates.txt, the licences of all crates that are linked in; installs cargo-about, which takes minutes
	@cd $(ZCRM_ROOT) && cargo about --version >/dev/null 2>&1 || cargo install --quiet --locked --features cli cargo-about@0.9.3
	cd $(ZCRM_ROOT) && cargo about generate --offline --locked --workspace --config packaging/licences/about.toml \
		packaging/licences/crates.hbs --output-file packaging/licences/crates.txt
