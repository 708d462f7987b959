# Build and search of src/index in process, without a server.
#   make -C bench index DATA=DIR [ARGS='--metric l2 --sweep 20,40,80']
INDEX_SRCS = $(wildcard $(ROOT)/src/index/*.c) $(KERNELS_SRCS)

.PHONY: index

index: $(BUILD)/index_bench
	$(abspath $<) $(DATA) $(or $(ARGS),--sweep 10,20,40,60,80,120)

$(BUILD)/index_bench: index_bench.c $(INDEX_SRCS) $(wildcard $(ROOT)/src/index/*.h $(ROOT)/src/kernels/*.h)
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -o $@ index_bench.c $(INDEX_SRCS) $(LDLIBS)
