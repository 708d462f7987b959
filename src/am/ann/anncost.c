/*
 * anncost.c
 *		What an ordered scan costs, from the statistics in the metapage.
 */
#include "postgres.h"

#include <float.h>
#include <math.h>

#include "am/ann/annmask.h"
#include "compat.h"

#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "utils/selfuncs.h"
#include "utils/float.h"

/*
 * Comparing by 8-bit code costs this share of an operator call, and as much
 * again for every so many dimensions.
 */
#define CODE_COST_FIXED 0.05
#define CODE_COST_DIMENSIONS 2048.0
/* Share of the rows that have a hash in common with a query. */
#define HASHES_CANDIDATES 0.01
/* Nodes of a graph compared for each candidate kept. */
#define HNSW_COMPARED_PER_EF 12.0

/* Making a mask costs this share of an operator call a row. */
#define MASK_COST 0.002

/*
 * Rows compared by code before the first result is known, when a share of them
 * match the conditions.
 */
static double
rows_compared(const AnnParams *params, const AnnEffort *effort, double rows, double segments,
			  double share)
{
	double		per_segment = rows / Max(segments, 1);
	double		compared = rows;

	if (AnnTypeStructure(params->type) == ANN_GRAPH)
		compared = segments * (effort->ef * HNSW_COMPARED_PER_EF +
							   params->m * log(Max(per_segment, 2)));
	else if (AnnTypeStructure(params->type) == ANN_LISTS)
		compared = segments * params->nlist +
			rows * Min(1.0, (double) effort->nprobe / params->nlist);
	else if (AnnTypeStructure(params->type) == ANN_HASHES)
		compared = segments * params->mh_band + HASHES_CANDIDATES * rows;
	/* rows that do not match are walked through; at worst all that match are compared */
	return Min(compared / Max(share, 1e-9), rows * share);
}

/*
 * Costs of a scan in order of distance of the rows that conditions, if there are any, leave.
 */
static void
order_costs(IndexOptInfo *info, double share, bool filtered, Cost *startup, Cost *total)
{
	AnnParams	params;
	AnnEffort	effort;
	AnnMeta		meta;
	Relation	index;
	double		growing;
	double		rows;
	double		per_row;
	double		first;

	index = index_open(info->indexoid, NoLock);
	AnnGetParams(index, &params);
	AnnGetEffort(index, &effort);
	AnnReadMeta(index, &meta);
	growing = AnnGrowingRows(index, &meta);
	index_close(index, NoLock);

	/* a code has a byte a dimension */
	per_row = cpu_operator_cost *
		(CODE_COST_FIXED + (params.elem == ANN_BIT ? AnnVectorBytes(&params) : params.dim) / CODE_COST_DIMENSIONS);
	first = rows_compared(&params, &effort, meta.segment_rows, meta.nsegments, share) + growing;

	/* the metapage and the last growing page are always read */
	*startup = first * per_row + 2 * cpu_index_tuple_cost;
	if (filtered)
		*startup += cpu_operator_cost * (MASK_COST * meta.segment_rows + growing);
	/*
	 * To the end, every row is compared and put in order, which is no less work
	 * than a sort's: a query that wants all rows is better off with that.
	 */
	rows = (meta.segment_rows + growing) * share;
	*total = *startup +
		rows * (2 * per_row + cpu_index_tuple_cost + 2 * cpu_operator_cost * log2(Max(rows, 2)));
}

void
AnnMaskedCost(IndexOptInfo *index, double share, Cost *startup, Cost *total)
{
	order_costs(index, share, true, startup, total);
}

bool
AnnIsOurIndexInfo(const IndexOptInfo *index)
{
	return index->amcostestimate == anncostestimate;
}

void
anncostestimate(PlannerInfo *root, IndexPath *path, double loop_count,
				Cost *indexStartupCost, Cost *indexTotalCost,
				Selectivity *indexSelectivity, double *indexCorrelation, double *indexPages)
{
	IndexOptInfo *info = path->indexinfo;
	double		share = 1;

	*indexCorrelation = 0;
	if (path->indexclauses != NIL)
		share = clauselist_selectivity(root, get_quals_from_indexclauses(path->indexclauses),
									   info->rel->relid, JOIN_INNER, NULL);
	*indexSelectivity = share;
	*indexPages = info->pages;
	if (path->indexorderbys == NIL)
	{
		/* the index has no order of its own and answers no condition */
		*indexStartupCost = get_float8_infinity();
		*indexTotalCost = get_float8_infinity();
		MilvusDisablePath(path);
		return;
	}

	order_costs(info, share, path->indexclauses != NIL, indexStartupCost, indexTotalCost);
}
