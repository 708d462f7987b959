/*
 * milvus.c
 *		Entry point of the shared library.
 */
#include "postgres.h"

#include "collection/collection.h"
#include "coord_bgworkers/coord.h"
#include "fmgr.h"
#include "guc.h"
#include "planner/knn.h"
#include "kernels/kernels.h"
#include "am/ann/annattr.h"
#include "am/table/table.h"
#include "planner/columnscan.h"
#include "planner/mask.h"

PG_MODULE_MAGIC;

PGDLLEXPORT void _PG_init(void);

void
_PG_init(void)
{
	KernelsInit();
	MilvusDefineSettings();
	AnnDefineOptions();
	AnnDefinePgvectorOptions();
	AnnInstallExplain();
	KnnInstall();
	AnnInstallPlannerHook();
	ColumnScanInstall();
	MaskInstall();
	CoordInit();
	TableOptionsInit();
	CollectionInit();
	TableNeedInit();
}
