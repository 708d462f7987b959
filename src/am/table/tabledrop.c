/*
 * tabledrop.c
 *		The values that a segment consists of, and their removal; stubs whose segment is
 *		gone.
 */
#include "postgres.h"

#include "am/table/tableroot.h"
#include "am/table/tableseal.h"
#include "utils/inval.h"

/*
 * The root, checked; palloc'd.
 */
static TableRoot *
read_root(Relation toast, Oid value)
{
	Size		len;
	char	   *data = TableReadValue(toast, value, &len);
	TableRoot  *root = (TableRoot *) data;
	pg_crc32c	stored;
	pg_crc32c	crc;

	if (len >= sizeof(TableRoot) && root->magic == TABLE_ROOT_MAGIC &&
		root->version == TABLE_ROOT_VERSION && root->bytes == len &&
		sizeof(TableRoot) + (root->natts + (uint64) 1) * sizeof(TableRootColumn) +
		(uint64) root->nchunks * sizeof(TableRootChunk) + root->pool_bytes <= len)
	{
		stored = root->crc;
		root->crc = 0;
		INIT_CRC32C(crc);
		COMP_CRC32C(crc, data, len);
		FIN_CRC32C(crc);
		if (EQ_CRC32C(crc, stored))
			return root;
	}
	ereport(ERROR,
			(errcode(ERRCODE_DATA_CORRUPTED),
			 errmsg("the segment with root %u in TOAST relation \"%s\" is damaged",
					value, RelationGetRelationName(toast))));
}

Oid *
TableSegmentValues(Relation toast, Oid value, int *n)
{
	TableRoot  *root = read_root(toast, value);
	const TableRootColumn *columns = (const TableRootColumn *) (root + 1);
	const TableRootChunk *chunks = (const TableRootChunk *) (columns + root->natts + 1);
	Oid		   *values = palloc((root->nchunks + root->natts + 2) * sizeof(Oid));

	*n = 0;
	for (uint32 i = 0; i < root->nchunks; i++)
		if (OidIsValid(chunks[i].value))
			values[(*n)++] = chunks[i].value;
	for (uint32 i = 0; i <= root->natts; i++)
		if (OidIsValid(columns[i].bloom))
			values[(*n)++] = columns[i].bloom;
	values[(*n)++] = value;
	pfree(root);
	return values;
}

void
TableDropSegment(Relation rel, Relation toast, const TableSegmentEntry *entry)
{
	TableSegment *segment = TableSegmentOpen(rel, entry->root, TableEntryTag(entry));
	Oid		   *values;
	int			n;

	TableSegmentEvict(segment, 0);
	values = TableSegmentValues(toast, entry->root, &n);
	/* one by one: what lies between them is others', dead ones too, whose pages a scan would prune */
	for (int i = 0; i < n; i++)
		TableDeleteValue(toast, values[i]);
	pfree(values);
	TableDeleteEntry(rel, entry->number);
	/* backends that have the segment open let go of it, and of its files' space */
	CacheInvalidateRelcache(rel);
}

/* ---- stubs without a segment ---- */

bool
TableStubIsGone(TableRoots *roots, Relation rel, TableRef ref)
{
	if (!roots->read)
	{
		roots->entries = TableReadManifest(rel, &roots->n);
		roots->read = true;
	}
	for (int i = 0; i < roots->n; i++)
		if (roots->entries[i].root == ref.root)
			return false;
	return !TableSegmentHasRow(rel, ref);
}
