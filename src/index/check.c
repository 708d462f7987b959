/*
 * check.c
 *		Invariants of an opened segment, looked at one by one.
 */
#include "index/hnsw.h"

#include <stdarg.h>
#include <stdio.h>

typedef struct Report
{
	char	   *message;
	size_t		len;
} Report;

static bool __attribute__((format(printf, 2, 3)))
fault(const Report *report, const char *format,...)
{
	va_list		args;

	va_start(args, format);
	vsnprintf(report->message, report->len, format, args);
	va_end(args);
	return false;
}

/* One row of links: in range, not of itself, none twice, padding at the end. */
static bool
check_links(const Report *report, uint32_t level, uint32_t row, const uint32_t *links,
			uint32_t width, uint32_t count)
{
	bool		ended = false;

	for (uint32_t i = 0; i < width; i++)
	{
		if (links[i] == ANN_NO_ROW)
		{
			ended = true;
			continue;
		}
		if (ended)
			return fault(report, "layer %u, row %u: a link after the padding", level, row);
		if (links[i] >= count)
			return fault(report, "layer %u, row %u: link to row %u of %u", level, row, links[i],
						 count);
		if (links[i] == row)
			return fault(report, "layer %u, row %u: link to itself", level, row);
		/* the durable form keeps links in order */
		if (i > 0 && links[i] <= links[i - 1])
			return fault(report, "layer %u, row %u: links out of order", level, row);
	}
	return true;
}

/* Every node reachable on layer 0 from row 0.  queue has room for all of them. */
static bool
check_reachable(const Report *report, const AnnSegment *segment, uint32_t nodes, uint32_t width,
				uint64_t *map, uint32_t *queue)
{
	uint32_t	at = 0;
	uint32_t	n = 1;

	memset(map, 0, AnnMapWords(nodes) * sizeof(uint64_t));
	AnnMapSet(map, 0);
	queue[0] = 0;
	while (at < n)
	{
		const uint32_t *links = segment->links + (size_t) queue[at++] * width;

		for (uint32_t i = 0; i < width && links[i] != ANN_NO_ROW; i++)
		{
			if (!AnnMapGet(map, links[i]))
			{
				AnnMapSet(map, links[i]);
				queue[n++] = links[i];
			}
		}
	}
	for (uint32_t row = 0; row < nodes && n < nodes; row++)
	{
		if (!AnnMapGet(map, row))
			return fault(report, "row %u cannot be reached (%u of %u nodes can)", row, n, nodes);
	}
	return true;
}

/* Whether two rows are equal, as far as what is kept of them says. */
static bool
equal_rows(const AnnSegment *segment, uint32_t a, uint32_t b)
{
	if (segment->raw != NULL)
		return memcmp(AnnRow(&segment->params, segment->raw, a),
					  AnnRow(&segment->params, segment->raw, b),
					  AnnRowBytes(&segment->params)) == 0;
	if (memcmp(&segment->code_meta[a], &segment->code_meta[b], sizeof(Sq8Meta)) != 0)
		return false;
	if (segment->codec == NULL)
		return memcmp(segment->codes + a * segment->code_stride,
					  segment->codes + b * segment->code_stride, segment->code_stride) == 0;
	return true;
}

/* The rows that are no nodes: ordered by a node, and equal to it. */
static bool
check_equal(const Report *report, const AnnSegment *segment, const HnswHeader *upper)
{
	const uint32_t *equal = HnswEqual(upper);
	uint32_t	nodes = upper->count[0];
	uint32_t	last = 0;

	for (uint32_t row = nodes; row < segment->n; row++)
	{
		uint32_t	node = equal[row - nodes];

		if (node >= nodes || node < last)
			return fault(report, "row %u: equal to row %u of %u, out of order", row, node, nodes);
		if (!equal_rows(segment, row, node))
			return fault(report, "row %u is not equal to row %u", row, node);
		last = node;
	}
	return true;
}

static bool
check_graph(const Report *report, const AnnSegment *segment, const AnnEnv *env)
{
	const HnswHeader *upper = segment->upper;
	uint32_t	width = HnswWidth(upper->degree);
	uint64_t   *map;
	uint32_t   *queue;
	bool		valid;

	if (!AnnHnswHeaderValid(upper, HNSW_UPPER_MAGIC, &segment->params, segment->n))
		return fault(report, "the graph's header does not fit the segment");
	for (uint32_t row = 0; row < upper->count[0]; row++)
	{
		if (!check_links(report, 0, row, segment->links + (size_t) row * width, width,
						 upper->count[0]))
			return false;
	}
	for (uint32_t level = 1; level <= upper->max_level; level++)
	{
		const uint32_t *links = HnswUpperLinks(upper, level);

		for (uint32_t row = 0; row < upper->count[level]; row++)
		{
			if (!check_links(report, level, row, links + (size_t) row * upper->m, upper->m,
							 upper->count[level]))
				return false;
		}
	}
	if (!check_equal(report, segment, upper))
		return false;
	if (segment->n == 0)
		return true;

	map = AnnAlloc(env, AnnMapWords(upper->count[0]) * sizeof(uint64_t));
	queue = AnnAlloc(env, (size_t) upper->count[0] * sizeof(uint32_t));
	if (map == NULL || queue == NULL)
		valid = fault(report, "out of memory");
	else
		valid = check_reachable(report, segment, upper->count[0], width, map, queue);
	AnnFree(env, map);
	AnnFree(env, queue);
	return valid;
}

static bool
check_lists(const Report *report, const AnnSegment *segment)
{
	for (uint32_t list = 0; list < segment->nlist; list++)
	{
		if (segment->lists[list] > segment->lists[list + 1])
			return fault(report, "list %u begins at row %u, the next one at %u", list,
						 segment->lists[list], segment->lists[list + 1]);
	}
	if (segment->lists[0] != 0 || segment->lists[segment->nlist] != segment->n)
		return fault(report, "the lists do not cover the rows");
	return true;
}

/* See index.h. */
bool
AnnCheck(const AnnSegment *segment, const AnnEnv *env, char *message, size_t len)
{
	Report		report = {.message = message, .len = len};

	if (len > 0)
		message[0] = '\0';
	switch (AnnTypeStructure(segment->params.type))
	{
		case ANN_GRAPH:
			return check_graph(&report, segment, env);
		case ANN_LISTS:
			return check_lists(&report, segment);
		case ANN_HASHES:
			return AnnMinhashCheck(segment, env, message, len);
		case ANN_ALL_ROWS:
			break;
	}
	return true;
}
