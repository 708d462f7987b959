/*
 * hnsw_graph.c
 *		The durable form of a graph: packing, and unpacking from bytes that nobody
 *		vouches for.
 *
 *		HnswHeader
 *		bits of layer 0: row 0, row 1, …, row count[0] - 1
 *		bits of layer 1: row 0, …, row count[1] - 1
 *		…
 *		bits of the rows that are equal to a node
 *
 * A row's bits: its degree; if that is not 0, an order k of ORDER_BITS, the
 * lowest linked row in as many bits as the layer's row numbers take, and for each
 * further one, ascending, the gap to the one before, less 1, as an exponential
 * Golomb code of order k (Teuhola 1978).  Rows near each other have near numbers
 * (hnsw_build.c), so most gaps are short.  The nodes that rows are equal to ascend:
 * each is the gap to the one before, of order EQUAL_ORDER.  Bits are filled from
 * the lowest.
 */
#include "index/hnsw.h"

#include <stdlib.h>

#define ORDER_BITS 5
#define EQUAL_ORDER 2

/* Words of links that unpacking holds at a time. */
#define BUFFER_WORDS 65536

/* Bits of a number. */
static inline uint32_t
bit_length(uint32_t value)
{
	return value == 0 ? 0 : 32 - (uint32_t) __builtin_clz(value);
}

/* See hnsw.h.  Reads the header only. */
bool
AnnHnswHeaderValid(const HnswHeader *header, uint32_t magic, const AnnParams *params, uint32_t n)
{
	uint32_t	nodes = header->count[0];

	if (header->magic != magic || header->version != HNSW_VERSION || header->n != n ||
		header->m != params->m || header->m < ANN_MIN_M || nodes > n ||
		header->max_level > HNSW_MAX_LEVEL ||
		(n > 0 && header->count[header->max_level] == 0) ||
		header->degree > AnnMin(2 * (uint64_t) params->m, nodes > 0 ? nodes - 1 : 0))
		return false;
	for (uint32_t l = 1; l <= HNSW_MAX_LEVEL; l++)
	{
		if (header->count[l] > header->count[l - 1] ||
			(l > header->max_level && header->count[l] != 0))
			return false;
	}
	return true;
}

/* ---- packing ---- */

typedef struct BitWriter
{
	uint8_t    *data;			/* NULL: only count */
	uint64_t	bits;			/* written */
	uint64_t	pending;		/* those not in data yet */
	uint32_t	npending;		/* fewer than 8 between calls */
} BitWriter;

/* Append the lowest `count` bits of value, at most 56. */
static inline void
put(BitWriter *writer, uint64_t value, uint32_t count)
{
	if (writer->data != NULL)
	{
		writer->pending |= value << writer->npending;
		writer->npending += count;
		while (writer->npending >= 8)
		{
			*writer->data++ = (uint8_t) writer->pending;
			writer->pending >>= 8;
			writer->npending -= 8;
		}
	}
	writer->bits += count;
}

static void
put_gap(BitWriter *writer, uint32_t gap, uint32_t order)
{
	uint64_t	high = ((uint64_t) gap >> order) + 1;
	uint32_t	zeros = 63 - (uint32_t) __builtin_clzll(high);

	put(writer, UINT64_C(1) << zeros, zeros + 1);
	put(writer, high & ((UINT64_C(1) << zeros) - 1), zeros);
	put(writer, gap & ((UINT64_C(1) << order) - 1), order);
}

static uint64_t
gaps_bits(const uint32_t *rows, uint32_t n, uint32_t order)
{
	BitWriter	writer = {0};

	for (uint32_t i = 1; i < n; i++)
		put_gap(&writer, rows[i] - rows[i - 1] - 1, order);
	return writer.bits;
}

/* The order that makes the gaps shortest, looked for downhill from that of their mean. */
static uint32_t
best_order(const uint32_t *rows, uint32_t n)
{
	uint32_t	order;
	uint64_t	bits;

	if (n < 2)
		return 0;
	order = bit_length((rows[n - 1] - rows[0]) / (n - 1));
	bits = gaps_bits(rows, n, order);
	while (order > 0)
	{
		uint64_t	fewer = gaps_bits(rows, n, order - 1);

		if (fewer > bits)
			break;
		bits = fewer;
		order--;
	}
	return order;
}

static int
compare_rows(const void *a, const void *b)
{
	uint32_t	x = *(const uint32_t *) a;
	uint32_t	y = *(const uint32_t *) b;

	return (x > y) - (x < y);
}

static void
sort_rows(uint32_t *rows, uint32_t n)
{
	if (n > 512)
	{
		qsort(rows, n, sizeof(uint32_t), compare_rows);
		return;
	}
	for (uint32_t i = 1; i < n; i++)
	{
		uint32_t	row = rows[i];
		uint32_t	j = i;

		for (; j > 0 && rows[j - 1] > row; j--)
			rows[j] = rows[j - 1];
		rows[j] = row;
	}
}

/* All bits of a graph. */
static AnnStatus
put_graph(BitWriter *writer, const HnswHeader *header, HnswLinksFn links, void *ctx,
		  const uint32_t *equal, uint32_t *rows, const AnnEnv *env)
{
	for (uint32_t level = 0; level <= header->max_level; level++)
	{
		uint32_t	width = bit_length(header->count[level] - 1);
		uint32_t	degree_bits = bit_length(level == 0 ? header->degree : header->m);

		for (uint32_t row = 0; row < header->count[level]; row++)
		{
			uint32_t	n = links(ctx, level, row, rows);
			uint32_t	order;

			if (row % 16384 == 0 && AnnCancelled(env))
				return ANN_CANCELLED;
			put(writer, n, degree_bits);
			if (n == 0)
				continue;
			sort_rows(rows, n);
			order = best_order(rows, n);
			put(writer, order, ORDER_BITS);
			put(writer, rows[0], width);
			for (uint32_t i = 1; i < n; i++)
				put_gap(writer, rows[i] - rows[i - 1] - 1, order);
		}
	}
	for (uint32_t i = 0; i < header->n - header->count[0]; i++)
		put_gap(writer, equal[i] - (i > 0 ? equal[i - 1] : 0), EQUAL_ORDER);
	return ANN_OK;
}

/*
 * Pack a graph into *data (of env's memory, *bytes long).  links gives at most
 * header->degree rows on layer 0 and header->m above, all different; equal are
 * the nodes that the rows from count[0] on are equal to, ascending.
 */
AnnStatus
AnnHnswPack(const HnswHeader *header, HnswLinksFn links, void *ctx, const uint32_t *equal,
			const AnnEnv *env, void **data, uint64_t *bytes)
{
	BitWriter	writer = {0};
	uint32_t   *rows = AnnAlloc(env, AnnMax(header->degree, header->m) * sizeof(uint32_t));
	uint8_t    *out = NULL;
	AnnStatus	status = ANN_OK;

	if (rows == NULL)
		return ANN_NO_MEMORY;
	if (header->n > 0)
		status = put_graph(&writer, header, links, ctx, equal, rows, env);
	if (status == ANN_OK)
	{
		*bytes = sizeof(HnswHeader) + (writer.bits + 7) / 8;
		out = AnnAlloc(env, *bytes);
		status = out != NULL ? ANN_OK : ANN_NO_MEMORY;
	}
	if (status == ANN_OK)
	{
		memcpy(out, header, sizeof(HnswHeader));
		writer = (BitWriter) {.data = out + sizeof(HnswHeader)};
		if (header->n > 0)
			status = put_graph(&writer, header, links, ctx, equal, rows, env);
		if (writer.npending > 0)
			put(&writer, 0, 8 - writer.npending);
	}
	if (status != ANN_OK)
	{
		AnnFree(env, out);
		out = NULL;
	}
	AnnFree(env, rows);
	*data = out;
	return status;
}

/* ---- unpacking ---- */

typedef struct BitReader
{
	const uint8_t *data;
	uint64_t	bits;			/* there are */
	uint64_t	at;
	bool		overrun;		/* more was asked for than there is */
} BitReader;

/* The next bits, at least 57 of them where there are so many; zeros past the end. */
static inline uint64_t
peek(const BitReader *reader)
{
	uint64_t	byte = reader->at / 8;
	uint64_t	left = reader->bits / 8 - byte;
	uint64_t	word = 0;

	for (uint32_t i = 0; i < 8 && i < left; i++)
		word |= (uint64_t) reader->data[byte + i] << (8 * i);
	return word >> (reader->at % 8);
}

static inline void
skip(BitReader *reader, uint32_t count)
{
	if (count > reader->bits - reader->at)
	{
		reader->overrun = true;
		reader->at = reader->bits;
	}
	else
		reader->at += count;
}

static inline uint64_t
get(BitReader *reader, uint32_t count)
{
	uint64_t	value = peek(reader) & ((UINT64_C(1) << count) - 1);

	skip(reader, count);
	return value;
}

static inline uint64_t
get_gap(BitReader *reader, uint32_t order)
{
	uint64_t	word = peek(reader);
	uint32_t	zeros = word == 0 ? 64 : (uint32_t) __builtin_ctzll(word);
	uint64_t	high;

	if (zeros > 32)
	{
		reader->overrun = true;
		return 0;
	}
	skip(reader, zeros + 1);
	high = (get(reader, zeros) | UINT64_C(1) << zeros) - 1;
	return high << order | get(reader, order);
}

/* Read one row's links into out, padded to width.  False: they make no sense. */
static bool
get_links(BitReader *reader, uint32_t row, uint32_t count, uint32_t max_degree, uint32_t *out,
		  uint32_t width)
{
	uint32_t	degree = (uint32_t) get(reader, bit_length(max_degree));
	uint32_t	order = 0;
	uint64_t	link = 0;

	if (degree > max_degree)
		return false;
	if (degree > 0)
	{
		order = (uint32_t) get(reader, ORDER_BITS);
		link = get(reader, bit_length(count - 1));
	}
	for (uint32_t i = 0; i < degree; i++)
	{
		if (i > 0)
			link += get_gap(reader, order) + 1;
		if (reader->overrun || link >= count || link == row)
			return false;
		out[i] = (uint32_t) link;
	}
	for (uint32_t i = degree; i < width; i++)
		out[i] = ANN_NO_ROW;
	return !reader->overrun;
}

/* Unpack one layer and write it as rows of `width` words at *offset, which moves on. */
static AnnStatus
unpack_layer(BitReader *reader, const HnswHeader *header, uint32_t level, uint32_t width,
			 uint32_t *buffer, uint32_t section, uint64_t *offset, AnnWriteSection write,
			 void *write_ctx, const AnnEnv *env)
{
	uint32_t	count = header->count[level];
	uint32_t	max_degree = level == 0 ? header->degree : header->m;
	uint32_t	rows = AnnMax(BUFFER_WORDS / width, 1);

	for (uint32_t first = 0; first < count; first += rows)
	{
		uint32_t	n = AnnMin(rows, count - first);
		size_t		bytes = (size_t) n * width * sizeof(uint32_t);

		if (AnnCancelled(env))
			return ANN_CANCELLED;
		for (uint32_t i = 0; i < n; i++)
		{
			if (!get_links(reader, first + i, count, max_degree, buffer + (size_t) i * width,
						   width))
				return ANN_CORRUPT;
		}
		if (!write(write_ctx, section, *offset, buffer, bytes))
			return ANN_IO;
		*offset += bytes;
	}
	return ANN_OK;
}

/* Unpack the nodes that rows are equal to and write them at *offset of UPPER. */
static AnnStatus
unpack_equal(BitReader *reader, const HnswHeader *header, uint32_t *buffer, uint64_t *offset,
			 AnnWriteSection write, void *write_ctx)
{
	uint32_t	count = header->n - header->count[0];
	uint64_t	node = 0;

	for (uint32_t first = 0; first < count; first += BUFFER_WORDS)
	{
		uint32_t	n = AnnMin(BUFFER_WORDS, count - first);

		for (uint32_t i = 0; i < n; i++)
		{
			node += get_gap(reader, EQUAL_ORDER);
			if (reader->overrun || node >= header->count[0])
				return ANN_CORRUPT;
			buffer[i] = (uint32_t) node;
		}
		if (!write(write_ctx, ANN_SEC_UPPER, *offset, buffer, n * sizeof(uint32_t)))
			return ANN_IO;
		*offset += n * sizeof(uint32_t);
	}
	return ANN_OK;
}

/* Write LINKS and UPPER from GRAPH.  Every row number written is in range. */
AnnStatus
AnnHnswUnpack(const AnnParams *params, uint32_t n, const AnnSection *graph,
			  AnnWriteSection write, void *write_ctx, const AnnEnv *env)
{
	HnswHeader	header;
	BitReader	reader = {0};
	uint32_t	width;
	uint32_t   *buffer;
	uint64_t	offset = 0;
	AnnStatus	status;

	if (graph->data == NULL || graph->bytes < sizeof(header))
		return ANN_CORRUPT;
	memcpy(&header, graph->data, sizeof(header));
	if (!AnnHnswHeaderValid(&header, HNSW_GRAPH_MAGIC, params, n))
		return ANN_CORRUPT;
	reader.data = (const uint8_t *) graph->data + sizeof(header);
	reader.bits = (graph->bytes - sizeof(header)) * 8;

	width = HnswWidth(header.degree);
	buffer = AnnAlloc(env, AnnMax(BUFFER_WORDS, AnnMax(width, header.m)) * sizeof(uint32_t));
	if (buffer == NULL)
		return ANN_NO_MEMORY;
	status = unpack_layer(&reader, &header, 0, width, buffer, ANN_SEC_LINKS, &offset, write,
						  write_ctx, env);
	if (status == ANN_OK)
	{
		HnswHeader	upper = header;

		upper.magic = HNSW_UPPER_MAGIC;
		memset(upper.pad, 0, sizeof(upper.pad));
		offset = sizeof(upper);
		if (!write(write_ctx, ANN_SEC_UPPER, 0, &upper, sizeof(upper)))
			status = ANN_IO;
	}
	for (uint32_t level = 1; level <= header.max_level && status == ANN_OK; level++)
		status = unpack_layer(&reader, &header, level, header.m, buffer, ANN_SEC_UPPER, &offset,
							  write, write_ctx, env);

	if (status == ANN_OK)
		status = unpack_equal(&reader, &header, buffer, &offset, write, write_ctx);

	/* nothing but the filling of the last byte may be left */
	if (status == ANN_OK && reader.bits - reader.at >= 8)
		status = ANN_CORRUPT;
	AnnFree(env, buffer);
	return status;
}
