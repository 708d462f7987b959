/*
 * upsert.c
 *		milvus.upsert(): whole rows, and some fields of rows.
 *
 * Rows are written in the order of their keys, so that concurrent requests for the same ones
 * wait for each other instead of ending in a deadlock.
 *
 * Whole rows are one INSERT ... ON CONFLICT DO UPDATE.  For some fields of rows (partial_update) those that
 * there are are locked and then updated; an UPDATE computes with the newest version of a row, so
 * nothing that others wrote to other fields, or appended, is lost.  Rows that there are not are inserted; when
 * another transaction is faster, they are there now, and the same is done again for them.
 */
#include "postgres.h"

#include "collection/write.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/typcache.h"

PG_FUNCTION_INFO_V1(milvus_upsert);
PG_FUNCTION_INFO_V1(milvus_array_extend);
PG_FUNCTION_INFO_V1(milvus_array_without);

typedef enum FieldOp
{
	OP_REPLACE = 0,
	OP_APPEND,
	OP_REMOVE,
} FieldOp;

/* Rows that are neither seen nor can be inserted: so often others made and deleted them meanwhile. */
#define MAX_TRIES 10

/* ---- what a request asks for ---- */

/*
 * Operations by field; NULL when none is other than to replace.
 */
static FieldOp *
read_ops(const Collection *collection, Jsonb *json)
{
	FieldOp    *ops = palloc0(sizeof(FieldOp) * Max(collection->nfields, 1));
	bool		any = false;
	ListCell   *cell;

	if (json == NULL)
		return NULL;
	if (!JB_ROOT_IS_OBJECT(json))
		MilvusInvalidParameter("field_ops should be an object");
	foreach(cell, JsonKeys(&json->root))
	{
		CollectionField *field = CollectionGetField(collection, lfirst(cell));
		char	   *op = JsonGetText(&json->root, lfirst(cell), "");
		FieldOp    *result = &ops[field - collection->fields];

		if (pg_strcasecmp(op, "ARRAY_APPEND") == 0)
			*result = OP_APPEND;
		else if (pg_strcasecmp(op, "ARRAY_REMOVE") == 0)
			*result = OP_REMOVE;
		else if (pg_strcasecmp(op, "REPLACE") != 0)
			MilvusInvalidParameter("unsupported field partial update op: %s", op);
		if (*result != OP_REPLACE && field->type != MILVUS_ARRAY)
			MilvusInvalidParameter("%s only supports Array field, field %s is %s", op, field->name, MilvusTypeName(field->type));
		any |= *result != OP_REPLACE;
	}
	return any ? ops : NULL;
}

/* ---- whole rows ---- */

static void
append_set(StringInfo sql, const char **separator, const char *column, const char *value)
{
	appendStringInfo(sql, "%s%s = %s", *separator, quote_identifier(column), value);
	*separator = ", ";
}

/* The column by which rows grow old begins anew. */
static bool
has_time_column(const Collection *collection)
{
	return collection->ttl_attnum != 0 && collection->ttl_seconds > 0;
}

static void
upsert_rows(WriteBatch *batch)
{
	const Collection *collection = batch->collection;
	int		   *rows = BatchSortByKey(batch);
	Bitmapset  *fields = BatchFields(batch, NULL, batch->nrows);
	const char *separator = "";
	StringInfoData sql;

	initStringInfo(&sql);
	AppendInsert(batch, &sql, fields);
	appendStringInfo(&sql, " ON CONFLICT (%s) DO UPDATE SET ", quote_identifier(collection->primary->column));
	/* what the request leaves out gets its default, as in a new row */
	for (int i = 0; i < collection->nfields; i++)
	{
		const CollectionField *field = &collection->fields[i];

		if (!field->is_primary && !field->is_generated)
			append_set(&sql, &separator, field->column, psprintf("EXCLUDED.%s", quote_identifier(field->column)));
	}
	if (collection->partition_attnum != 0 && collection->partition_key == NULL)
		append_set(&sql, &separator, COLLECTION_PARTITION_COLUMN, "EXCLUDED.\"" COLLECTION_PARTITION_COLUMN "\"");
	if (has_time_column(collection))
		append_set(&sql, &separator, COLLECTION_TIME_COLUMN, "EXCLUDED.\"" COLLECTION_TIME_COLUMN "\"");
	if (*separator == '\0')		/* there is nothing but the key */
		append_set(&sql, &separator, collection->primary->column,
				   psprintf("EXCLUDED.%s", quote_identifier(collection->primary->column)));
	WriteExecute(collection, sql.data, NULL, batch, rows, batch->nrows, fields, NULL, NULL);
}

/* ---- keys that the table makes ---- */

static void
delete_keys(const Collection *collection, ArrayType *keys)
{
	Oid			type = get_array_type(collection->primary->typid);
	Datum		value = PointerGetDatum(keys);
	WriteParams params = {1, &type, &value};

	WriteExecute(collection, psprintf("DELETE FROM %s AS t WHERE t.%s OPERATOR(pg_catalog.=) ANY ($1)",
									  collection->relation, quote_identifier(collection->primary->column)),
				 &params, NULL, NULL, 0, NULL, NULL, NULL);
}

/*
 * Rows get the keys that were made for them.
 */
static void
change_keys(const Collection *collection, ArrayType *before, ArrayType *after)
{
	Oid			type = get_array_type(collection->primary->typid);
	Oid			types[2] = {type, type};
	Datum		values[2] = {PointerGetDatum(before), PointerGetDatum(after)};
	WriteParams params = {2, types, values};
	const char *column = quote_identifier(collection->primary->column);

	WriteExecute(collection, psprintf("UPDATE %s AS t SET %s = k.after FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2)) AS k(before, after) "
									  "WHERE t.%s OPERATOR(pg_catalog.=) k.before", collection->relation, column, column),
				 &params, NULL, NULL, 0, NULL, NULL, NULL);
}

/* ---- some fields of rows ---- */

typedef struct KeySet
{
	const CollectionField *primary;
	Datum	   *keys;
	int			n;
	int			room;
} KeySet;

static void
add_key(Datum key, void *arg)
{
	KeySet	   *set = arg;

	if (set->n == set->room)
	{
		set->room = Max(64, set->room * 2);
		set->keys = set->keys == NULL ? palloc(sizeof(Datum) * set->room) :
			repalloc_huge(set->keys, sizeof(Datum) * (Size) set->room);
	}
	if (MilvusTypeIsString(set->primary->type))
		key = PointerGetDatum(PG_DETOAST_DATUM_COPY(key));
	set->keys[set->n++] = key;
}

static int
compare_set(const void *a, const void *b, void *arg)
{
	return CompareKeys(arg, *(const Datum *) a, *(const Datum *) b);
}

static void
sort_set(KeySet *set)
{
	if (set->n > 1)
		qsort_arg(set->keys, set->n, sizeof(Datum), compare_set, (void *) set->primary);
}

static bool
set_has(const KeySet *set, Datum key)
{
	int			low = 0;
	int			high = set->n;

	while (low < high)
	{
		int			middle = low + (high - low) / 2;
		int			order = CompareKeys(set->primary, set->keys[middle], key);

		if (order == 0)
			return true;
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return false;
}

/*
 * Lock the rows that there are of these.
 */
static KeySet
lock_rows(const WriteBatch *batch, const int *rows, int nrows)
{
	const Collection *collection = batch->collection;
	KeySet		set = {.primary = collection->primary};
	const char *column = quote_identifier(collection->primary->column);
	Oid			type = get_array_type(collection->primary->typid);
	Datum		keys = PointerGetDatum(BatchKeys(batch, rows, nrows));
	WriteParams params = {1, &type, &keys};
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfo(&sql, "SELECT t.%s FROM %s AS t WHERE t.%s OPERATOR(pg_catalog.=) ANY ($1)", column, collection->relation, column);
	AppendTtl(collection, &sql, false);
	/* in the order of CompareKeys */
	appendStringInfo(&sql, " ORDER BY t.%s%s FOR NO KEY UPDATE", column,
					 MilvusTypeIsString(collection->primary->type) ? " COLLATE pg_catalog.\"C\"" : "");
	WriteExecute(collection, sql.data, &params, NULL, NULL, 0, NULL, add_key, &set);
	sort_set(&set);
	return set;
}

/* Fields that the request gives for a row. */
static Bitmapset *
given_fields(const WriteBatch *batch, int row)
{
	Bitmapset  *fields = NULL;

	for (int i = 0; i < batch->width; i++)
		if (batch->given[BatchIndex(batch, row, i)])
			fields = bms_add_member(fields, i);
	return fields;
}

/*
 * Take the rows that give the same fields as the first out of the list; their number.
 */
static int
take_alike(const WriteBatch *batch, int *rows, int *nrows, int *alike)
{
	const bool *first = batch->given + BatchIndex(batch, rows[0], 0);
	int			n = 0;
	int			left = 0;

	for (int i = 0; i < *nrows; i++)
	{
		if (memcmp(batch->given + BatchIndex(batch, rows[i], 0), first, batch->width * sizeof(bool)) == 0)
			alike[n++] = rows[i];
		else
			rows[left++] = rows[i];
	}
	*nrows = left;
	return n;
}

/*
 * What a field of a row becomes.
 */
static char *
op_value(const CollectionField *field, FieldOp op, const char *column)
{
	switch (op)
	{
		case OP_APPEND:
			return psprintf("milvus.array_extend(t.%s, r.%s, %d)", quote_identifier(field->column), column, field->max_capacity);
		case OP_REMOVE:
			return psprintf("milvus.array_without(t.%s, r.%s)", quote_identifier(field->column), column);
		default:
			/* keys of the dynamic field are fields of their own */
			if (field->is_dynamic)
				return psprintf("t.%s OPERATOR(pg_catalog.||) r.%s", quote_identifier(field->column), column);
			return psprintf("r.%s", column);
	}
}

static void
update_alike(const WriteBatch *batch, const FieldOp *ops, const int *rows, int nrows)
{
	const Collection *collection = batch->collection;
	int			key = collection->primary - collection->fields;
	Bitmapset  *fields = given_fields(batch, rows[0]);
	const char *separator = "";
	StringInfoData sql;
	int			i = -1;

	initStringInfo(&sql);
	appendStringInfo(&sql, "UPDATE %s AS t SET ", collection->relation);
	while ((i = bms_next_member(fields, i)) >= 0)
		if (i != key)
			append_set(&sql, &separator, collection->fields[i].column,
					   op_value(&collection->fields[i], ops != NULL ? ops[i] : OP_REPLACE, BatchColumn(i)));
	if (batch->partition != NULL && collection->partition_attnum != 0)
		append_set(&sql, &separator, COLLECTION_PARTITION_COLUMN, psprintf("%d::pg_catalog.int2", batch->partition->id));
	if (has_time_column(collection))
		append_set(&sql, &separator, COLLECTION_TIME_COLUMN, "DEFAULT");
	if (*separator == '\0')
		return;
	appendStringInfo(&sql, " FROM " BATCH_RELATION " AS r WHERE t.%s OPERATOR(pg_catalog.=) r.%s",
					 quote_identifier(collection->primary->column), BatchColumn(key));
	WriteExecute(collection, sql.data, NULL, batch, rows, nrows, fields, NULL, NULL);
}

/*
 * Insert rows that there are not; the keys of those that it did.
 */
static KeySet
insert_missing(WriteBatch *batch, const FieldOp *ops, const int *rows, int nrows, bool must)
{
	const Collection *collection = batch->collection;
	KeySet		set = {.primary = collection->primary};
	Bitmapset  *fields;
	StringInfoData sql;
	Datum	   *removed = palloc(sizeof(Datum) * nrows * Max(batch->width, 1));

	BatchComplete(batch, rows, nrows, KEYS_GIVEN);
	fields = BatchFields(batch, rows, nrows);
	/* to remove from nothing leaves nothing */
	for (int i = 0; i < batch->width && ops != NULL; i++)
		for (int r = 0; r < nrows; r++)
			if (ops[i] == OP_REMOVE && batch->given[BatchIndex(batch, rows[r], i)])
			{
				removed[(Size) r * batch->width + i] = batch->values[BatchIndex(batch, rows[r], i)];
				if (!batch->isnull[BatchIndex(batch, rows[r], i)])
					batch->values[BatchIndex(batch, rows[r], i)] = FieldArray(BatchReader(batch, i), NULL, 0, rows[r]);
			}
	initStringInfo(&sql);
	AppendInsert(batch, &sql, fields);
	if (!must)
		appendStringInfo(&sql, " ON CONFLICT (%s) DO NOTHING", quote_identifier(collection->primary->column));
	appendStringInfo(&sql, " RETURNING t.%s", quote_identifier(collection->primary->column));
	WriteExecute(collection, sql.data, NULL, batch, rows, nrows, fields, add_key, &set);
	for (int i = 0; i < batch->width && ops != NULL; i++)
		for (int r = 0; r < nrows; r++)
			if (ops[i] == OP_REMOVE && batch->given[BatchIndex(batch, rows[r], i)])
				batch->values[BatchIndex(batch, rows[r], i)] = removed[(Size) r * batch->width + i];
	sort_set(&set);
	return set;
}

static void
upsert_fields(WriteBatch *batch, const FieldOp *ops)
{
	int		   *rows = BatchSortByKey(batch);
	int			nrows = batch->nrows;
	int		   *there = palloc(sizeof(int) * nrows);
	int		   *alike = palloc(sizeof(int) * nrows);

	DeleteExpired(batch->collection, BatchKeys(batch, rows, nrows));
	for (int tries = 0; nrows > 0; tries++)
	{
		KeySet		set = lock_rows(batch, rows, nrows);
		int			nthere = 0;
		int			nmissing = 0;

		CHECK_FOR_INTERRUPTS();
		for (int i = 0; i < nrows; i++)
		{
			if (set_has(&set, BatchKey(batch, rows[i])))
				there[nthere++] = rows[i];
			else
				rows[nmissing++] = rows[i];
		}
		while (nthere > 0)
		{
			int			n = take_alike(batch, there, &nthere, alike);

			update_alike(batch, ops, alike, n);
		}
		nrows = 0;
		if (nmissing == 0)
			break;
		/* a row that it may not see, or that is taken anew each time: the server says which */
		set = insert_missing(batch, ops, rows, nmissing, tries >= MAX_TRIES);
		for (int i = 0; i < nmissing; i++)
			if (tries < MAX_TRIES && !set_has(&set, BatchKey(batch, rows[i])))
				rows[nrows++] = rows[i];
	}
}

/*
 * milvus.upsert(collection_name text, data jsonb, partition_name text, partial_update boolean, field_ops jsonb, db_name text)
 *		RETURNS (upsert_count bigint, ids jsonb, "timestamp" bigint)
 */
Datum
milvus_upsert(PG_FUNCTION_ARGS)
{
	const Collection *collection;
	WriteBatch *batch;
	FieldOp    *ops;
	bool		partial = !PG_ARGISNULL(3) && PG_GETARG_BOOL(3);
	bool		auto_keys;
	Datum		ids;

	if (PG_ARGISNULL(0))
		MilvusInvalidParameter("collection_name should not be empty");
	if (PG_ARGISNULL(1))
		MilvusInvalidParameter("data should not be null");
	collection = CollectionOpen(TEXT_ARG(5), TEXT_ARG(0), RowExclusiveLock, false);
	ops = read_ops(collection, PG_ARGISNULL(4) ? NULL : PG_GETARG_JSONB_P(4));
	partial |= ops != NULL;
	batch = BatchMake(collection, TEXT_ARG(2));
	BatchAddJson(batch, PG_GETARG_JSONB_P(1));
	BatchCheckKeys(batch);
	ids = BatchKeysJson(batch);
	auto_keys = collection->primary->auto_id && !collection->allow_insert_auto_id;
	if (batch->nrows == 0)
		PG_RETURN_DATUM(WriteResult(fcinfo, 0, ids));
	if (partial)
	{
		ArrayType  *before = BatchKeys(batch, NULL, batch->nrows);

		upsert_fields(batch, ops);
		if (auto_keys)
		{
			BatchNewKeys(batch);
			change_keys(collection, before, BatchKeys(batch, NULL, batch->nrows));
			ids = BatchKeysJson(batch);
		}
	}
	else if (auto_keys)
	{
		ArrayType  *before = BatchKeys(batch, NULL, batch->nrows);

		BatchComplete(batch, NULL, batch->nrows, KEYS_ANEW);
		delete_keys(collection, before);
		InsertBatch(batch, &ids);
	}
	else
	{
		BatchComplete(batch, NULL, batch->nrows, KEYS_GIVEN);
		upsert_rows(batch);
	}
	PG_RETURN_DATUM(WriteResult(fcinfo, batch->nrows, ids));
}

/* ---- arrays ---- */

/*
 * milvus.array_extend(elements anyarray, more anyarray, max_capacity integer) RETURNS anyarray:
 * both, one behind the other; 0: of any length
 */
Datum
milvus_array_extend(PG_FUNCTION_ARGS)
{
	int			max = PG_ARGISNULL(2) ? 0 : PG_GETARG_INT32(2);
	ArrayType  *arrays[2];
	int			n[2];
	Datum	   *values[2];
	Datum	   *all;
	int16		length;
	bool		byval;
	char		align;

	if (PG_ARGISNULL(1))
	{
		if (PG_ARGISNULL(0))
			PG_RETURN_NULL();
		PG_RETURN_DATUM(PG_GETARG_DATUM(0));
	}
	arrays[1] = PG_GETARG_ARRAYTYPE_P(1);
	arrays[0] = PG_ARGISNULL(0) ? construct_empty_array(ARR_ELEMTYPE(arrays[1])) : PG_GETARG_ARRAYTYPE_P(0);
	get_typlenbyvalalign(ARR_ELEMTYPE(arrays[1]), &length, &byval, &align);
	for (int i = 0; i < 2; i++)
	{
		if (array_contains_nulls(arrays[i]))
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("array must not contain nulls")));
		deconstruct_array(arrays[i], ARR_ELEMTYPE(arrays[1]), length, byval, align, &values[i], NULL, &n[i]);
	}
	if (max > 0 && n[0] + n[1] > max)
		MilvusInvalidParameter("array length %d exceeds max_capacity %d", n[0] + n[1], max);
	if (n[0] + n[1] == 0)
		PG_RETURN_ARRAYTYPE_P(arrays[0]);
	all = palloc(sizeof(Datum) * (n[0] + n[1]));
	memcpy(all, values[0], sizeof(Datum) * n[0]);
	memcpy(all + n[0], values[1], sizeof(Datum) * n[1]);
	PG_RETURN_ARRAYTYPE_P(construct_array(all, n[0] + n[1], ARR_ELEMTYPE(arrays[1]), length, byval, align));
}

/*
 * milvus.array_without(elements anyarray, others anyarray) RETURNS anyarray: the elements
 * that the other array does not have
 */
Datum
milvus_array_without(PG_FUNCTION_ARGS)
{
	ArrayType  *array;
	ArrayType  *others;
	TypeCacheEntry *type;
	Datum	   *values;
	Datum	   *gone;
	bool	   *isnull;
	int			n;
	int			m;
	int			kept = 0;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	if (PG_ARGISNULL(1))
		PG_RETURN_DATUM(PG_GETARG_DATUM(0));
	array = PG_GETARG_ARRAYTYPE_P(0);
	others = PG_GETARG_ARRAYTYPE_P(1);
	type = lookup_type_cache(ARR_ELEMTYPE(array), TYPECACHE_EQ_OPR_FINFO);
	if (!OidIsValid(type->eq_opr_finfo.fn_oid))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_FUNCTION),
				 errmsg("could not identify an equality operator for type %s", format_type_be(ARR_ELEMTYPE(array)))));
	if (array_contains_nulls(array))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("array must not contain nulls")));
	deconstruct_array(array, ARR_ELEMTYPE(array), type->typlen, type->typbyval, type->typalign, &values, NULL, &n);
	deconstruct_array(others, ARR_ELEMTYPE(array), type->typlen, type->typbyval, type->typalign, &gone, &isnull, &m);
	for (int i = 0; i < n; i++)
	{
		bool		found = false;

		for (int j = 0; j < m && !found; j++)
			found = !isnull[j] && DatumGetBool(FunctionCall2Coll(&type->eq_opr_finfo, PG_GET_COLLATION(), values[i], gone[j]));
		if (!found)
			values[kept++] = values[i];
	}
	if (kept == 0)
		PG_RETURN_ARRAYTYPE_P(construct_empty_array(ARR_ELEMTYPE(array)));
	PG_RETURN_ARRAYTYPE_P(construct_array(values, kept, ARR_ELEMTYPE(array), type->typlen, type->typbyval, type->typalign));
}
