/*
 * tablehandler.h
 *		Callbacks of the access method that are not in tablehandler.c.
 */
#ifndef MILVUS_TABLEHANDLER_H
#define MILVUS_TABLEHANDLER_H

#include "access/tableam.h"
#include "nodes/execnodes.h"

/* tableindex.c */
extern double TableIndexBuildRangeScan(Relation table, Relation index, struct IndexInfo *info,
									   bool allow_sync, bool anyvisible, bool progress,
									   BlockNumber start, BlockNumber nblocks,
									   IndexBuildCallback callback, void *callback_state,
									   TableScanDesc scan);
extern void TableIndexValidateScan(Relation table, Relation index, struct IndexInfo *info,
								   Snapshot snapshot, struct ValidateIndexState *state);

/* tablerewrite.c */
extern void TableCopyForCluster(Relation old, Relation new, Relation index, bool use_sort,
								TransactionId oldest_xmin, TransactionId *xid_cutoff,
								MultiXactId *multi_cutoff, double *live, double *removed,
								double *recently_dead);

#endif							/* MILVUS_TABLEHANDLER_H */
