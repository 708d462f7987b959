# make -C bench columns [COPY=../data/glosses.copy]   column chunks: size and speed of their encodings
COPY ?= $(ROOT)/data/glosses.copy
COLUMN_SRCS = $(wildcard $(ROOT)/src/segment/column*.c)

.PHONY: columns
columns: $(BUILD)/columns
	$(abspath $<) $(COPY)

$(BUILD)/columns: columns.c $(COLUMN_SRCS) $(wildcard $(ROOT)/src/segment/column*.h)
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -o $@ columns.c $(COLUMN_SRCS) -lzstd -llz4 $(LDLIBS)
