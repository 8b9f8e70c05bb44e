# Installing and packaging. Included by the Makefile.
#
#   install, uninstall   PREFIX, LIBDIR and DESTDIR as everywhere
#   dist                 build/zcrm-VERSION-linux-ARCH.tar.gz: that prefix, with checksums and an SBOM
#   deb                  build/libzcrm0_….deb, build/libzcrm-dev_….deb and build/zcrm-emulator_….deb
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
ZCRM_RELEASE := $(or $(CARGO_TARGET_DIR),$(ZCRM_ROOT)/target)/release
ZCRM_ARCH := $(shell uname -m | sed 's/x86_64/amd64/;s/aarch64/arm64/')

# What the archive needs beside itself: rustc --print native-static-libs. A test compares.
ZCRM_NATIVE_LIBS := -lgcc_s -lutil -lrt -lpthread -lm -ldl -lc

ZCRM_LIB := $(DESTDIR)$(LIBDIR)
ZCRM_CMAKE := $(ZCRM_LIB)/cmake/zcrm
ZCRM_DOCS = $(wildcard $(addprefix $(ZCRM_ROOT)/,README.md CHANGELOG.md SECURITY.md LICENSE-MIT LICENSE-APACHE))
ZCRM_INSTALLED = $(addprefix $(ZCRM_LIB)/,libzcrm.so libzcrm.so.$(ZCRM_SOVERSION) libzcrm.so.$(ZCRM_VERSION) \
	libzcrm.a pkgconfig/zcrm.pc cmake/zcrm zcrm) $(addprefix $(DESTDIR)$(INCLUDEDIR)/,zcrm.h zcrm.hpp) $(DESTDIR)$(BINDIR)/zcrm-emulator $(DESTDIR)$(DATADIR)/man/man1/zcrm-emulator.1 \
	$(DESTDIR)$(DATADIR)/doc/zcrm

# Fills in a template; paths are relative to where the file will lie, so that the prefix can be moved.
#   $(call zcrm_fill,TEMPLATE,FILE)
zcrm_relative = $(shell realpath -m --relative-to="$(1)" "$(2)")
define zcrm_fill
sed -e 's|@VERSION@|$(ZCRM_VERSION)|g' -e 's|@SOVERSION@|$(ZCRM_SOVERSION)|g' -e 's|@ABI@|$(ZCRM_ABI)|g' -e 's|@ARCH@|$(ZCRM_ARCH)|g' \
	-e 's|@LIBDIR@|$(call zcrm_relative,$(dir $(2)),$(ZCRM_LIB))|g' -e 's|@INCLUDEDIR@|$(call zcrm_relative,$(dir $(2)),$(DESTDIR)$(INCLUDEDIR))|g' \
	-e 's|@NATIVE_LIBS@|$(ZCRM_NATIVE_LIBS)|g' $(ZCRM_ROOT)/packaging/$(1) > $(2)
chmod 644 $(2)
endef

.PHONY: zcrm-release zcrm-emulator zcrm-files install uninstall dist deb

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

install: ## the library with its headers, pkg-config and CMake files, and the emulator, below PREFIX
	@$(ZCRM_ROOT)/scripts/setup install
	@$(MAKE) --no-print-directory -C $(ZCRM_ROOT) zcrm-release zcrm-emulator zcrm-files
	@$(if $(DESTDIR),,echo "installed below $(PREFIX). Let the loader find it: run ldconfig (as root), or set LD_LIBRARY_PATH=$(LIBDIR);" \
		"with a prefix of your own set PKG_CONFIG_PATH=$(LIBDIR)/pkgconfig too.")

# Installs what was built, and builds nothing.
zcrm-files:
	$(INSTALL) -d $(ZCRM_LIB)/pkgconfig $(ZCRM_CMAKE) $(ZCRM_LIB)/zcrm $(DESTDIR)$(BINDIR) $(DESTDIR)$(INCLUDEDIR) $(DESTDIR)$(DATADIR)/doc/zcrm \
		$(DESTDIR)$(DATADIR)/man/man1
	$(INSTALL) -m 755 $(ZCRM_RELEASE)/zcrm-emulator $(DESTDIR)$(BINDIR)/zcrm-emulator
	$(INSTALL) -m 644 $(ZCRM_ROOT)/packaging/zcrm-emulator.1 $(DESTDIR)$(DATADIR)/man/man1
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
	-rmdir $(ZCRM_LIB)/cmake $(ZCRM_LIB)/pkgconfig 2>/dev/null

ZCRM_BUILD := $(ZCRM_ROOT)/build
ZCRM_DIST := zcrm-$(ZCRM_VERSION)-linux-$(ZCRM_ARCH)
ZCRM_CYCLONEDX_VERSION := 0.5.9

# The time of the last commit, so that the same commit gives the same archive.
ZCRM_EPOCH = $(or $(SOURCE_DATE_EPOCH),$(shell git -C $(ZCRM_ROOT) log -1 --format=%ct))

dist: ## that prefix as a tar.gz with checksums and an SBOM, in build
	@$(ZCRM_ROOT)/scripts/setup dist
	@$(MAKE) --no-print-directory -C $(ZCRM_ROOT) zcrm-release zcrm-emulator
	rm -rf $(ZCRM_BUILD)/$(ZCRM_DIST) && mkdir -p $(ZCRM_BUILD)
	$(MAKE) --no-print-directory -C $(ZCRM_ROOT) zcrm-files DESTDIR=$(ZCRM_BUILD) PREFIX=/$(ZCRM_DIST) LIBDIR=/$(ZCRM_DIST)/lib \
		BINDIR=/$(ZCRM_DIST)/bin INCLUDEDIR=/$(ZCRM_DIST)/include DATADIR=/$(ZCRM_DIST)/share
	cargo cyclonedx --version 2>/dev/null | grep -q ' $(ZCRM_CYCLONEDX_VERSION)$$' || \
		$(CARGO) install --locked --quiet cargo-cyclonedx@$(ZCRM_CYCLONEDX_VERSION)
	cd $(ZCRM_ROOT) && SOURCE_DATE_EPOCH=$(ZCRM_EPOCH) PATH="$(PATH):$$HOME/.cargo/bin" $(CARGO) cyclonedx --quiet --format json --spec-version 1.5 \
		--no-build-deps --manifest-path $(ZCRM_ROOT)/Cargo.toml --override-filename zcrm.cdx
	sed 's|file://$(ZCRM_ROOT)|file:///zcrm|g' $(ZCRM_ROOT)/zcrm.cdx.json > $(ZCRM_BUILD)/$(ZCRM_DIST)/share/doc/zcrm/zcrm.cdx.json
	rm -f $(ZCRM_ROOT)/zcrm.cdx.json $(ZCRM_ROOT)/tests/emulator/zcrm.cdx.json
	cd $(ZCRM_BUILD)/$(ZCRM_DIST) && find . -type f ! -name SHA256SUMS -printf '%P\n' | LC_ALL=C sort | xargs sha256sum > SHA256SUMS
	tar -C $(ZCRM_BUILD) --sort=name --owner=0 --group=0 --numeric-owner --mtime=@$(ZCRM_EPOCH) -c $(ZCRM_DIST) | gzip -n > $(ZCRM_BUILD)/$(ZCRM_DIST).tar.gz
	cd $(ZCRM_BUILD) && sha256sum $(ZCRM_DIST).tar.gz > $(ZCRM_DIST).tar.gz.sha256

# debhelper in a directory of its own: it makes the shlibs, the ldconfig trigger and the checksums that dpkg wants.
# Whoever publishes the package puts a name and an address here.
ZCRM_MAINTAINER ?= zcrm maintainers <zcrm@localhost>

ZCRM_DEB := $(ZCRM_BUILD)/deb/zcrm
deb: ## Debian packages, in build
	@$(ZCRM_ROOT)/scripts/setup deb
	@$(MAKE) --no-print-directory -C $(ZCRM_ROOT) zcrm-release zcrm-emulator
	rm -rf $(ZCRM_BUILD)/deb && mkdir -p $(ZCRM_DEB)
	cp -r $(ZCRM_ROOT)/packaging/debian $(ZCRM_DEB)/debian
	sed -i 's/@MAINTAINER@/$(ZCRM_MAINTAINER)/' $(ZCRM_DEB)/debian/control
	printf 'zcrm (%s) unstable; urgency=medium\n\n  * Release %s.\n\n -- $(ZCRM_MAINTAINER)  %s\n' \
		$(ZCRM_VERSION) $(ZCRM_VERSION) "$$(date -R -u -d @$(ZCRM_EPOCH))" > $(ZCRM_DEB)/debian/changelog
	cd $(ZCRM_DEB) && ZCRM_ROOT=$(ZCRM_ROOT) dpkg-buildpackage --build=binary --no-sign --no-pre-clean --no-check-builddeps
	mv $(ZCRM_BUILD)/deb/*.deb $(ZCRM_BUILD)/
