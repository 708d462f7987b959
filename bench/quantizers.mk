# What quantizers lose, without a server.
#   make -C bench quantizers DATA=DIR [ARGS='--codec pq4 --nlist 128']
QUANTIZERS_SRCS = $(wildcard $(ROOT)/src/index/*.c) $(KERNELS_SRCS)

.PHONY: quantizers

quantizers: $(BUILD)/quantizers
	$(abspath $<) $(DATA) $(ARGS)

$(BUILD)/quantizers: quantizers.c $(QUANTIZERS_SRCS) $(wildcard $(ROOT)/src/index/*.h $(ROOT)/src/kernels/*.h)
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -o $@ quantizers.c $(QUANTIZERS_SRCS) $(LDLIBS)
