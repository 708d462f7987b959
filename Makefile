# milvus: vector search and Milvus semantics inside PostgreSQL, built with PGXS.
#   make [PG_CONFIG=...]        the shared library and the install script
#   make install                into the server that PG_CONFIG names
#   make installcheck           regression and isolation tests against a running server
#   make unit [SANITIZE=1]      plain C tests of kernels, index algorithms and formats
EXTENSION = milvus
EXTVERSION = 0.1.0
MODULE_big = milvus

# made by flex and bison
FILTER = src/collection/filter
GENERATED = $(FILTER)/filter_grammar.tab.c $(FILTER)/filter_lexer.yy.c

SRCS = $(sort $(wildcard src/*.c src/kernels/*.c src/index/*.c src/segment/*.c \
	src/types/*.c src/am/*/*.c src/planner/*.c src/coord_bgworkers/*.c \
	src/streaming/*.c src/collection/*.c $(FILTER)/*.c) $(GENERATED))
OBJS = $(SRCS:.c=.o)
ALL_HEADERS = $(filter-out %.tab.h,$(wildcard src/*.h src/*/*.h src/*/*/*.h))

DATA_built = $(EXTENSION)--$(EXTVERSION).sql
INSTALL_SQL = $(sort $(wildcard sql/install/*.sql))

REGRESS := $(patsubst sql/%.sql,%,$(sort $(wildcard sql/*.sql)))
REGRESS_OPTS = --inputdir=. --load-extension=milvus
ISOLATION := $(patsubst test/isolation/specs/%.spec,%,$(sort $(wildcard test/isolation/specs/*.spec)))
ISOLATION_OPTS = --inputdir=test/isolation --outputdir=test/isolation/output --load-extension=milvus

EXTRA_CLEAN = $(DATA_built) $(GENERATED) $(FILTER)/filter_grammar.tab.h test/isolation/output test/unit/build

PG_CONFIG ?= pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs)
PG_INCLUDE_SERVER := $(shell $(PG_CONFIG) --includedir-server)

WARNINGS = -Wall -Wextra -Wno-unused-parameter -Wno-missing-field-initializers
# Server headers are system headers: their warnings are not ours.
PG_CPPFLAGS = -Isrc -isystem $(PG_INCLUDE_SERVER) $(EXTRA_CPPFLAGS)
PG_CFLAGS = -std=gnu11 -O3 -fno-math-errno -fno-trapping-math -Wno-declaration-after-statement $(WARNINGS) $(EXTRA_CFLAGS)
# Our own symbols win over equal names of other libraries in the same backend.
SHLIB_LINK = -Wl,-Bsymbolic -lzstd -llz4 -lm -lpthread -ldl $(EXTRA_LIBS)

include $(PGXS)

$(OBJS): $(ALL_HEADERS)

$(FILTER)/filter_grammar.tab.c $(FILTER)/filter_grammar.tab.h &: $(FILTER)/filter_grammar.y
	bison -Wall -Werror -d -o $(FILTER)/filter_grammar.tab.c $<
$(FILTER)/filter_lexer.yy.c: $(FILTER)/filter_lexer.l
	flex -o $@ $<
$(GENERATED:.c=.o) $(GENERATED:.c=.bc): $(FILTER)/filter_grammar.tab.h
$(OBJS:.o=.bc): $(ALL_HEADERS)

$(DATA_built): $(INSTALL_SQL) milvus.control
	@{ printf '%s\n' '-- complain if the script is sourced in psql, rather than via CREATE EXTENSION'; \
	   printf '%s\n\n' '\echo Use "CREATE EXTENSION milvus" to load this file. \quit'; \
	   cat $(INSTALL_SQL); } > $@.tmp && mv $@.tmp $@

.PHONY: unit
unit:
	$(MAKE) -C test/unit check
