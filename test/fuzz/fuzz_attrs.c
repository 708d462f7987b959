/*
 * fuzz_attrs.c
 *		Damaged sections of scalar columns (ANN_SEC_ATTRS): refused, or good to read, to make
 *		postings of and to search by those.
 *
 * Byte 0: rows of the segment.  Byte 1: odd where the header shall have the size that the input has, which
 * an input that was cut or stretched would otherwise fail by.  Then the section.
 */
#include "server.h"

#include <stdlib.h>

#include "am/ann/annattr.h"
#include "fuzz.h"
#include "utils/lsyscache.h"

/* An input of a few bytes may ask for postings of 2^32 codes: those are left out. */
#define MAX_INDEX_BYTES (16 << 20)

static void
require(bool condition)
{
	if (!condition)
		abort();
}

/* Bytes of exactly this size. */
static char *
exact(size_t bytes)
{
	void	   *p;

	if (posix_memalign(&p, 64, bytes) != 0)
		abort();
	return p;
}

static volatile char last_read;

/* Read every byte of each value; the sanitizer looks whether it may be. */
static void
read_dictionary(const char *base, const AnnAttrHeader *header)
{
	if (header->places == 0)
	{
		for (uint64 i = 0; i < sizeof(Datum) * header->ndistinct; i++)
			last_read = base[header->values + i];
		return;
	}
	for (uint32 i = 0; i < header->ndistinct; i++)
	{
		const char *value = base + header->values + ((const uint64 *) (base + header->places))[i];
		int16		typlen;
		bool		typbyval;
		Size		bytes;

		get_typlenbyval(header->type, &typlen, &typbyval);
		bytes = typlen > 0 ? (Size) typlen : VARSIZE(value);
		for (Size at = 0; at < bytes; at++)
			last_read = value[at];
	}
}

/* Whether a row has this code, by the codes and not by the postings. */
static bool
row_has(const char *base, const AnnAttrHeader *header, uint32 row, uint32 code)
{
	const char *codes = base + header->codes;
	const uint64 *starts = (const uint64 *) (base + header->starts);

	if (!header->array)
		return AnnAttrCode(codes, header->code_bytes, row) == code;
	if (starts[row] == starts[row + 1])
		return code == header->ndistinct +
			((base + header->flags)[row] & ANN_ARRAY_NULL ? 1 : 0);
	for (uint64 j = starts[row]; j < starts[row + 1]; j++)
		if (AnnAttrCode(codes, header->code_bytes, j) == code)
			return true;
	return false;
}

static void
use_section(const char *base, uint64 bytes, uint32 rows)
{
	uint64		index_bytes = AnnAttrIndexBytes(base);
	AnnSegmentAttrs attrs;
	char	   *index;

	if (index_bytes > MAX_INDEX_BYTES)
		return;
	index = exact(index_bytes);
	AnnAttrIndexBuild(base, index);
	require(AnnAttrsAttach(&attrs, base, bytes, index, index_bytes, rows));
	for (int i = 0; i < attrs.ncolumns; i++)
	{
		const AnnAttrHeader *header = &attrs.headers[i];
		const uint64 *starts = (const uint64 *) (index + attrs.postings[i].starts);
		const uint32 *listed = (const uint32 *) (index + attrs.postings[i].rows);
		uint32		ncodes = AnnAttrCodes(header);
		uint64		expected = 0;

		read_dictionary(base, header);
		require(starts[0] == 0 && starts[ncodes] == attrs.postings[i].nrows);
		for (uint32 code = 0; code < ncodes; code++)
		{
			require(starts[code] <= starts[code + 1]);
			for (uint64 j = starts[code]; j < starts[code + 1]; j++)
			{
				require(listed[j] < rows && (j == starts[code] || listed[j - 1] < listed[j]));
				require(row_has(base, header, listed[j], code));
			}
		}
		for (uint32 row = 0; row < rows; row++)
		{
			const uint64 *elements = (const uint64 *) (base + header->starts);

			expected += header->array ? Max(elements[row + 1] - elements[row], 1) : 1;
		}
		require(expected == attrs.postings[i].nrows);
	}
	free(index);
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	return 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint32		rows;
	char	   *base;
	int			ncolumns;

	if (size < 2)
		return 0;
	rows = data[0];
	size -= 2;
	base = exact(size);
	memcpy(base, data + 2, size);
	if (data[1] & 1 && size >= sizeof(AnnAttrsHeader))
		((AnnAttrsHeader *) base)->bytes = size;

	/* headers alone are read from the first page of a section */
	(void) AnnAttrsCheckHeaders(base, Min(size, 200), size, rows, &ncolumns);
	if (AnnAttrsCheck(base, size, rows))
		use_section(base, size, rows);
	free(base);
	return 0;
}
