/*
 * tablecache.c
 *		Cache files of columns of segments.
 */
#include "postgres.h"

#include "table.h"
#include "tableroot.h"
#include "tablesegment.h"

bool
TableColumnMap(TableSegment *segment, TableColumn *column)
{
	return false;
}

bool
TableColumnMapForFetch(TableSegment *segment, TableColumn *column)
{
	return false;
}

bool
TableColumnVerify(TableSegment *segment, TableColumn *column, uint32 first, uint32 n)
{
	return false;
}

void
TableColumnUnmap(TableColumn *column)
{
}

bool
TableSegmentWarm(TableSegment *segment, AttrNumber attnum)
{
	return false;
}

void
TableSegmentWarmRoot(Relation rel, Relation toast, Oid root)
{
}

void
TableSegmentEvict(TableSegment *segment, AttrNumber attnum)
{
}
