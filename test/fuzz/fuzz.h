/*
 * fuzz.h
 *		What libFuzzer calls in a target.
 */
#ifndef MILVUS_FUZZ_H
#define MILVUS_FUZZ_H

#include <stddef.h>
#include <stdint.h>

extern int	LLVMFuzzerInitialize(int *argc, char ***argv);
extern int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif							/* MILVUS_FUZZ_H */
