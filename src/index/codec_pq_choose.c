/*
 * codec_pq_choose.c
 *		Which centres of a product quantizer stand for a vector.
 *
 * One layer: the nearest centre of each subspace.  Several: a beam search (Babenko,
 * Lempitsky 2014; Liu et al. 2015), since the nearest centre of the first layer
 * often leaves a rest that the next layers have no centre for.
 *
 * Narrow tables are gone through eight centres at a time for four rows, in plain vectors of
 * the compiler's; a matrix product of so few dimensions costs more.  Wide ones
 * take a matrix product a block of centres.
 */
#include "index/codec_pq.h"

#include <math.h>

/* Centres compared at a time. */
#define BLOCK 1024

/* Numbers compared side by side. */
#define LANES 16

/* Rows of a narrow table's loop. */
#define LANE_ROWS 4

typedef float Float4 __attribute__((vector_size(16), may_alias));
typedef float Float4Unaligned __attribute__((vector_size(16), may_alias, aligned(4)));
typedef int32_t Int4 __attribute__((vector_size(16), may_alias));
typedef int64_t Long2 __attribute__((vector_size(16), may_alias));

/* A coding of a row so far. */
typedef struct Choice
{
	float		half;			/* (|rest|^2 - |row|^2) / 2 */
	uint32_t	entry;			/* of the layer before */
	uint32_t	centre;
} Choice;

/* The lesser of two numbers in each lane; of a NaN and a number b, b. */
static inline Float4
lesser(Float4 a, Float4 b)
{
	Int4		below = a < b;

	return (Float4) (((Int4) a & below) | ((Int4) b & ~below));
}

/* Whether a comparison holds in any lane. */
static inline bool
any(Int4 lanes)
{
	Long2		halves = (Long2) lanes;

	return (halves[0] | halves[1]) != 0;
}

/* h of n rows (n x dsub) to all centres of a narrow table: n x BLOCK into out. */
static void
narrow_halves(const PqModel *model, const float *table, const float *rows, uint32_t n, float *out)
{
	uint32_t	width = PqWidth(model);
	uint32_t	dsub = model->dsub;

	for (uint32_t i = 0; i < n; i += LANE_ROWS)
	{
		const float *x[LANE_ROWS];
		uint32_t	count = AnnMin(LANE_ROWS, n - i);

		for (uint32_t r = 0; r < LANE_ROWS; r++)
			x[r] = rows + (size_t) (i + AnnMin(r, count - 1)) * dsub;
		for (uint32_t c = 0; c < width; c += 8)
		{
			const float *centres = table + width + c;
			Float4		low[LANE_ROWS];
			Float4		high[LANE_ROWS];

			for (int r = 0; r < LANE_ROWS; r++)
			{
				low[r] = *(const Float4Unaligned *) (table + c);
				high[r] = *(const Float4Unaligned *) (table + c + 4);
			}
			for (uint32_t d = 0; d < dsub; d++, centres += width)
			{
				Float4		a = *(const Float4Unaligned *) centres;
				Float4		b = *(const Float4Unaligned *) (centres + 4);

				for (int r = 0; r < LANE_ROWS; r++)
				{
					low[r] -= a * x[r][d];
					high[r] -= b * x[r][d];
				}
			}
			for (uint32_t r = 0; r < count; r++)
			{
				*(Float4Unaligned *) (out + (size_t) (i + r) * BLOCK + c) = low[r];
				*(Float4Unaligned *) (out + (size_t) (i + r) * BLOCK + c + 4) = high[r];
			}
		}
	}
}

/* The same to centres from .. from + BLOCK - 1 of a wide table. */
static void
wide_halves(const PqModel *model, const float *table, const float *rows, uint32_t n, uint32_t from,
			float *out)
{
	uint32_t	dsub = model->dsub;

	GemmNT(n, BLOCK, dsub, rows, dsub, PqCentre(model, table, from), dsub, out, BLOCK);
	for (uint32_t i = 0; i < n; i++)
	{
		for (uint32_t c = 0; c < BLOCK; c++)
			out[(size_t) i * BLOCK + c] = table[from + c] - out[(size_t) i * BLOCK + c];
	}
}

/* h of n rows to a block of centres; returns how many centres it has, a multiple of LANES. */
static uint32_t
block_halves(const PqModel *model, const float *table, const float *rows, uint32_t n, uint32_t from,
			 float *out)
{
	if (PqWide(model))
	{
		wide_halves(model, table, rows, n, from, out);
		return BLOCK;
	}
	narrow_halves(model, table, rows, n, out);
	return PqWidth(model);
}

/*
 * The smallest of n numbers (a multiple of LANES) if it is below *best: it and its first place.
 * The smallest one is found first and then looked for: that takes no chain of
 * selections from number to number.
 */
static void
smallest(const float *values, uint32_t n, uint32_t from, float *best, uint32_t *place)
{
	Float4		lanes[LANES / 4];
	float		least = INFINITY;

	for (int l = 0; l < LANES / 4; l++)
		lanes[l] = (Float4){INFINITY, INFINITY, INFINITY, INFINITY};
	for (uint32_t i = 0; i < n; i += LANES)
	{
		for (int l = 0; l < LANES / 4; l++)
			lanes[l] = lesser(*(const Float4Unaligned *) (values + i + 4 * l), lanes[l]);
	}
	lanes[0] = lesser(lesser(lanes[0], lanes[1]), lesser(lanes[2], lanes[3]));
	for (int l = 0; l < 4; l++)
		least = AnnMin(lanes[0][l], least);
	if (!(least < *best))
		return;
	*best = least;
	for (uint32_t i = 0; i < n; i += LANES)
	{
		Int4		bit = {1, 2, 4, 8};
		Int4		equal = {0};
		Long2		halves;
		uint64_t	bits;

		/* bit b of the four lanes together: number i + b */
		for (int l = 0; l < LANES / 4; l++, bit <<= 4)
			equal |= (*(const Float4Unaligned *) (values + i + 4 * l) == least) & bit;
		halves = (Long2) equal;
		bits = (uint64_t) (halves[0] | halves[1]);
		bits |= bits >> 32;
		if ((uint32_t) bits != 0)
		{
			*place = from + i + (uint32_t) __builtin_ctz((uint32_t) bits);
			return;
		}
	}
}

/* PqNearest of at most PQ_TILE rows. */
static void
nearest_tile(const PqModel *model, const float *table, const float *rows, uint32_t n,
			 uint32_t *nearest, float *halves)
{
	float		block[PQ_TILE * BLOCK] __attribute__((aligned(ANN_ALIGN)));
	float		best[PQ_TILE];

	for (uint32_t i = 0; i < n; i++)
	{
		best[i] = INFINITY;
		nearest[i] = 0;
	}
	for (uint32_t from = 0; from < 1u << model->nbits; from += BLOCK)
	{
		uint32_t	centres = block_halves(model, table, rows, n, from, block);

		for (uint32_t i = 0; i < n; i++)
			smallest(block + (size_t) i * BLOCK, centres, from, &best[i], &nearest[i]);
	}
	if (halves != NULL)
		memcpy(halves, best, n * sizeof(float));
}

/* See codec_pq.h. */
void
PqNearest(const PqModel *model, const float *table, const float *rows, uint32_t n,
		  uint32_t *nearest, float *halves)
{
	for (uint32_t at = 0; at < n; at += PQ_TILE)
		nearest_tile(model, table, rows + (size_t) at * model->dsub, AnnMin(PQ_TILE, n - at),
					 nearest + at, halves != NULL ? halves + at : NULL);
}

/* Put a coding into its place among the best `room`. */
static void
insert_choice(Choice *best, uint32_t *count, uint32_t room, Choice choice)
{
	uint32_t	at = *count < room ? (*count)++ : room - 1;

	for (; at > 0 && choice.half < best[at - 1].half; at--)
		best[at] = best[at - 1];
	best[at] = choice;
}

/* Go through n continuations of a coding that stands at `half`. */
static void
consider(const float *values, uint32_t n, uint32_t from, float half, uint32_t entry, Choice *best,
		 uint32_t *count, uint32_t room)
{
	for (uint32_t i = 0; i < n; i += 8)
	{
		Float4		a = *(const Float4Unaligned *) (values + i);
		Float4		b = *(const Float4Unaligned *) (values + i + 4);
		float		limit = *count < room ? INFINITY : best[room - 1].half - half;

		if (!any((a < limit) | (b < limit)))
			continue;
		for (uint32_t c = i; c < i + 8; c++)
		{
			float		value = half + values[c];

			if (*count < room ? value < INFINITY : value < best[room - 1].half)
				insert_choice(best, count, room, (Choice){value, entry, from + c});
		}
	}
}

/* Where the beam stands for the rows of a tile: `entries` codings of each. */
typedef struct Beam
{
	uint32_t	entries;
	float		halves[PQ_TILE];
	uint32_t	picks[PQ_TILE][ANN_MAX_NRQ];
} Beam;

/* x less a centre */
static void
subtract(const PqModel *model, const float *table, uint32_t centre, const float *x, float *out)
{
	const float *c = PqCentre(model, table, centre);
	size_t		step = PqCentreStep(model);

	for (uint32_t d = 0; d < model->dsub; d++)
		out[d] = x[d] - c[d * step];
}

/* Follow the beam of n rows through one more layer; rests are read from `from`, left in `to`. */
static void
beam_step(const PqModel *model, const float *table, uint32_t layer, uint32_t n, uint32_t room,
		  Beam *beam, const float *from, float *to)
{
	float		block[PQ_TILE * BLOCK] __attribute__((aligned(ANN_ALIGN)));
	Choice		best[PQ_TILE][PQ_BEAM];
	uint32_t	counts[PQ_TILE] = {0};
	uint32_t	entries = beam->entries;
	uint32_t	dsub = model->dsub;
	Beam		next = {.entries = room};

	for (uint32_t first = 0; first < 1u << model->nbits; first += BLOCK)
	{
		uint32_t	centres = block_halves(model, table, from, n * entries, first, block);

		for (uint32_t e = 0; e < n * entries; e++)
			consider(block + (size_t) e * BLOCK, centres, first, beam->halves[e], e,
					 best[e / entries], &counts[e / entries], room);
	}
	for (uint32_t i = 0; i < n; i++)
	{
		/* nothing is comparable in a row of NaNs or infinities */
		while (counts[i] < room)
			best[i][counts[i]++] = (Choice){INFINITY, i * entries, 0};
		for (uint32_t b = 0; b < room; b++)
		{
			Choice		choice = best[i][b];
			uint32_t	e = i * room + b;

			next.halves[e] = choice.half;
			memcpy(next.picks[e], beam->picks[choice.entry], layer * sizeof(uint32_t));
			next.picks[e][layer] = choice.centre;
			subtract(model, table, choice.centre, from + (size_t) choice.entry * dsub,
					 to + (size_t) e * dsub);
		}
	}
	*beam = next;
}

/* PqChoose of n rows with room for `width` codings of each. */
static void
beam_tile(const PqModel *model, uint32_t subspace, uint32_t layers, const float *rows, uint32_t n,
		  uint32_t width, uint32_t *picks, float *rest)
{
	float		rests[2][PQ_TILE_FLOATS];
	uint32_t	dsub = model->dsub;
	Beam		beam = {.entries = 1};
	uint64_t	most = 1;
	int			current = 0;

	memcpy(rests[0], rows, (size_t) n * dsub * sizeof(float));
	for (uint32_t l = 0; l < layers; l++)
	{
		/* no more codings than there are, and in the end the best one only */
		most = AnnMin(width, most << model->nbits);
		beam_step(model, PqTable(model, subspace, l), l, n, l + 1 < layers ? (uint32_t) most : 1,
				  &beam, rests[current], rests[1 - current]);
		current = 1 - current;
	}
	for (uint32_t i = 0; i < n; i++)
		memcpy(picks + (size_t) i * layers, beam.picks[i], layers * sizeof(uint32_t));
	if (rest != NULL)
		memcpy(rest, rests[current], (size_t) n * dsub * sizeof(float));
}

/* See codec_pq.h. */
void
PqChoose(const PqModel *model, uint32_t subspace, uint32_t layers, const float *rows, uint32_t n,
		 uint32_t *picks, float *rest)
{
	uint32_t	dsub = model->dsub;
	uint32_t	room = AnnMin(PQ_TILE, PQ_TILE_FLOATS / dsub);
	uint32_t	width = AnnMin(PQ_BEAM, room);
	uint32_t	tile = room / width;

	if (layers == 1)
	{
		const float *table = PqTable(model, subspace, 0);

		PqNearest(model, table, rows, n, picks, NULL);
		for (uint32_t i = 0; rest != NULL && i < n; i++)
			subtract(model, table, picks[i], rows + (size_t) i * dsub, rest + (size_t) i * dsub);
		return;
	}
	for (uint32_t at = 0; at < n; at += tile)
		beam_tile(model, subspace, layers, rows + (size_t) at * dsub, AnnMin(tile, n - at), width,
				  picks + (size_t) at * layers, rest != NULL ? rest + (size_t) at * dsub : NULL);
}
