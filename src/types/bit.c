/*
 * bit.c
 *		Distances of PostgreSQL's bit strings.
 *
 * The bits past the length of a bit string are zero, so whole bytes can be compared.
 */
#include "postgres.h"

#include "access/htup_details.h"	/* brings varatt.h where there is one */
#include "fmgr.h"
#include "kernels/kernels.h"
#include "utils/varbit.h"

PG_FUNCTION_INFO_V1(bit_hamming_distance);
PG_FUNCTION_INFO_V1(bit_jaccard_distance);
PG_FUNCTION_INFO_V1(bit_minhash_distance);

/* Bits of an element where the caller does not say */
#define MINHASH_DEFAULT_BITS 32

/* Raise an error unless two values have the same number of bits. */
static void
check_same_length(const VarBit *a, const VarBit *b)
{
	if (VARBITLEN(a) != VARBITLEN(b))
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("different bit lengths %u and %u", VARBITLEN(a), VARBITLEN(b))));
}

/* Both arguments, which must have the same number of bits */
#define GETARG_BIT_PAIR(a, b) \
	VarBit	   *a = PG_GETARG_VARBIT_P(0); \
	VarBit	   *b = PG_GETARG_VARBIT_P(1); \
	check_same_length(a, b)

/* hamming_distance(bit, bit), <~>: the number of bits that differ */
Datum
bit_hamming_distance(PG_FUNCTION_ARGS)
{
	GETARG_BIT_PAIR(a, b);

	PG_RETURN_FLOAT8((double) kernels->hamming(VARBITS(a), VARBITS(b), VARBITBYTES(a)));
}

/*
 * jaccard_distance(bit, bit), <%>: 1 - common bits / bits in either; 1 where there is
 * no common bit, also of two values without any
 */
Datum
bit_jaccard_distance(PG_FUNCTION_ARGS)
{
	uint64_t	both,
				either;

	GETARG_BIT_PAIR(a, b);

	kernels->jaccard(VARBITS(a), VARBITS(b), VARBITBYTES(a), &both, &either);
	PG_RETURN_FLOAT8(both == 0 ? 1.0 : 1.0 - (double) both / (double) either);
}

/* Number of elements of `width` bytes that are equal */
static int
count_equal(const bits8 *a, const bits8 *b, int n, int width)
{
	int			equal = 0;

	for (int i = 0; i < n; i++)
		equal += (memcmp(a + (Size) i * width, b + (Size) i * width, width) == 0);
	return equal;
}

/*
 * minhash_distance(bit, bit [, element_bits]), <%%>: 1 - equal elements / elements of
 * two MinHash signatures, an estimate of the Jaccard distance of what they stand for
 */
Datum
bit_minhash_distance(PG_FUNCTION_ARGS)
{
	int			width = (PG_NARGS() > 2) ? PG_GETARG_INT32(2) : MINHASH_DEFAULT_BITS;
	int			n,
				equal;

	GETARG_BIT_PAIR(a, b);

	if (width != 8 && width != 16 && width != 32 && width != 64)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("element width must be 8, 16, 32 or 64 bits, not %d", width)));
	if (VARBITLEN(a) == 0 || VARBITLEN(a) % width != 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("bit length %d is not a positive multiple of the element width %d",
						VARBITLEN(a), width)));

	/* a constant width makes memcmp() a comparison of integers */
	n = VARBITLEN(a) / width;
	switch (width)
	{
		case 8:
			equal = count_equal(VARBITS(a), VARBITS(b), n, 1);
			break;
		case 16:
			equal = count_equal(VARBITS(a), VARBITS(b), n, 2);
			break;
		case 32:
			equal = count_equal(VARBITS(a), VARBITS(b), n, 4);
			break;
		default:
			equal = count_equal(VARBITS(a), VARBITS(b), n, 8);
			break;
	}
	PG_RETURN_FLOAT8(1.0 - (double) equal / n);
}
