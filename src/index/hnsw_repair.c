/*
 * hnsw_repair.c
 *		Every row reachable from the entry point on layer 0.
 *
 * A spanning tree is grown from the entry point along the links.  A row it does
 * not reach gets a link from a row near it that is reached: in a free place, or
 * instead of the longest link that the tree does not use.  No link of the tree is
 * ever lost, so what was reached stays reached.  There always is such a place:
 * r reached rows with `keep` >= 2 links each hold more than the r - 1 links of
 * the tree.
 */
#include "index/hnsw_build.h"

typedef struct Tree
{
	HnswBuild  *build;
	HnswLayer  *layer;
	uint32_t   *parent;			/* ANN_NO_ROW: not reached; the root is its own */
	uint32_t   *queue;
	uint32_t	nqueue;			/* rows reached */
} Tree;

/* Reach everything that follows from `row`, whose parent is given. */
static void
reach(Tree *tree, uint32_t row, uint32_t parent)
{
	uint32_t	at = tree->nqueue;

	tree->parent[row] = parent;
	tree->queue[tree->nqueue++] = row;
	while (at < tree->nqueue)
	{
		uint32_t	from = tree->queue[at++];
		const uint32_t *node = HnswNode(tree->layer, from);

		for (uint32_t i = 0; i < node[0]; i++)
		{
			uint32_t	to = node[1 + i];

			if (tree->parent[to] == ANN_NO_ROW)
			{
				tree->parent[to] = from;
				tree->queue[tree->nqueue++] = to;
			}
		}
	}
}

/* Link from -> to; false when from has no place for it. */
static bool
add_link(Tree *tree, uint32_t from, uint32_t to)
{
	uint32_t   *node = HnswNode(tree->layer, from);
	float	   *lengths = HnswLengths(tree->layer, from);
	uint32_t	place = node[0];

	if (place < tree->layer->keep)
		node[0]++;
	else
	{
		for (uint32_t i = 0; i < node[0]; i++)
		{
			if (tree->parent[node[1 + i]] != from &&
				(place == node[0] || lengths[i] > lengths[place]))
				place = i;
		}
		if (place == node[0])
			return false;
	}
	node[1 + place] = to;
	/* only compared with the lengths of later repairs: this link is not to go */
	lengths[place] = -FLT_MAX;
	return true;
}

/* Find a place for a link to a row that is not reached. */
static void
link_row(Tree *tree, HnswWorker *worker, uint32_t row)
{
	AnnHnswNear(tree->build, worker, row);
	for (size_t i = 0; i < worker->npool; i++)
	{
		uint32_t	near = (uint32_t) worker->pool[i] >> 1;

		if (tree->parent[near] != ANN_NO_ROW && add_link(tree, near, row))
		{
			reach(tree, row, near);
			return;
		}
	}
	/* every near row full of links of the tree: any row, the last reached first */
	for (uint32_t i = tree->nqueue; i-- > 0;)
	{
		uint32_t	any = tree->queue[i];

		if (add_link(tree, any, row))
		{
			reach(tree, row, any);
			return;
		}
	}
}

/* See hnsw_build.h. */
AnnStatus
AnnHnswRepair(HnswBuild *build, HnswWorker *worker)
{
	const AnnEnv *env = build->env;
	Tree		tree = {.build = build, .layer = &build->layers[0]};
	AnnStatus	status = ANN_OK;

	tree.parent = AnnAlloc(env, sizeof(uint32_t) * build->n);
	tree.queue = AnnAlloc(env, sizeof(uint32_t) * build->n);
	if (tree.parent == NULL || tree.queue == NULL)
		status = ANN_NO_MEMORY;
	else
	{
		memset(tree.parent, 0xff, sizeof(uint32_t) * build->n);
		reach(&tree, 0, 0);
		for (uint32_t row = 1; row < build->n && status == ANN_OK; row++)
		{
			if (tree.parent[row] != ANN_NO_ROW)
				continue;
			link_row(&tree, worker, row);
			if (AnnCancelled(env))
				status = ANN_CANCELLED;
		}
	}
	AnnFree(env, tree.parent);
	AnnFree(env, tree.queue);
	return status;
}
