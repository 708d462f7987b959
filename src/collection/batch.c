/*
 * batch.c
 *		The rows of a request to insert or upsert: read, checked and completed.
 *
 * What a row leaves out is left out of the statement too where no other row gives it, so that
 * the table's default applies and no right on the column is needed.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "collection/write.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "rewrite/rewriteHandler.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/numeric.h"
#include "utils/rel.h"

/* ---- making ---- */

const CollectionPartition *
WritePartition(const Collection *collection, const char *name)
{
	if (name == NULL || *name == '\0')
		return NULL;
	RefusePartitionNames(collection, "not support manually specifying the partition names if partition key mode is used");
	return CollectionGetPartition(collection, name);
}

WriteBatch *
BatchMake(const Collection *collection, const char *partition_name)
{
	WriteBatch *batch = palloc0(sizeof(WriteBatch));

	(void) CollectionPrimary(collection);
	batch->collection = collection;
	batch->width = collection->nfields;
	batch->readers = palloc0(sizeof(FieldReader *) * batch->width);
	batch->defaults = palloc0(sizeof(ExprState *) * batch->width);
	batch->partition = WritePartition(collection, partition_name);
	return batch;
}

FieldReader *
BatchReader(WriteBatch *batch, int field)
{
	if (batch->readers[field] == NULL)
		batch->readers[field] = FieldReaderMake(batch->collection, &batch->collection->fields[field]);
	return batch->readers[field];
}

int
BatchAddRows(WriteBatch *batch, int n)
{
	int			first = batch->nrows;

	if (first + n > batch->room)
	{
		Size		room = Max((Size) first + n, Min((Size) batch->room * 2, (Size) INT_MAX / 2));

		if (batch->room == 0)
		{
			batch->values = MemoryContextAllocHuge(CurrentMemoryContext, room * batch->width * sizeof(Datum));
			batch->isnull = MemoryContextAllocHuge(CurrentMemoryContext, room * batch->width);
			batch->given = MemoryContextAllocHuge(CurrentMemoryContext, room * batch->width);
		}
		else
		{
			batch->values = repalloc_huge(batch->values, room * batch->width * sizeof(Datum));
			batch->isnull = repalloc_huge(batch->isnull, room * batch->width);
			batch->given = repalloc_huge(batch->given, room * batch->width);
		}
		batch->room = (int) room;
	}
	memset(batch->values + BatchIndex(batch, first, 0), 0, (Size) n * batch->width * sizeof(Datum));
	memset(batch->isnull + BatchIndex(batch, first, 0), true, (Size) n * batch->width);
	memset(batch->given + BatchIndex(batch, first, 0), false, (Size) n * batch->width);
	batch->nrows += n;
	return first;
}

int
BatchField(const WriteBatch *batch, const char *name)
{
	for (int i = 0; i < batch->width; i++)
		if (strcmp(batch->collection->fields[i].name, name) == 0)
			return i;
	return -1;
}

/*
 * The field that a key of a row names; -1 when there is none.  Sub-fields of structs are not
 * named in rows.
 */
static int
field_of_key(const Collection *collection, const char *key, int length)
{
	for (int i = 0; i < collection->nfields; i++)
	{
		const CollectionField *field = &collection->fields[i];

		if (field->struct_name == NULL && strncmp(field->name, key, length) == 0 && field->name[length] == '\0')
			return i;
	}
	return -1;
}

static bool
is_struct(const Collection *collection, const char *name)
{
	for (int i = 0; i < collection->nfields; i++)
		if (collection->fields[i].struct_name != NULL && strcmp(collection->fields[i].struct_name, name) == 0)
			return true;
	return false;
}

void
BatchSetValue(WriteBatch *batch, int row, int field, Datum value)
{
	Size		at = BatchIndex(batch, row, field);

	batch->values[at] = value;
	batch->isnull[at] = false;
	batch->given[at] = true;
}

void
BatchSetNull(WriteBatch *batch, int row, int field)
{
	const CollectionField *definition = &batch->collection->fields[field];

	/* as if it had not been given */
	if (definition->has_default || definition->is_dynamic)
		return;
	if (!definition->nullable)
		FieldWrongType(definition, "null", row);
	batch->given[BatchIndex(batch, row, field)] = true;
}

/*
 * A struct array from an array of objects: an array of each sub-field's values.
 */
static void
set_struct(WriteBatch *batch, int row, const char *name, const JsonbValue *value)
{
	const Collection *collection = batch->collection;
	List	   *elements = JsonElements(JsonToArray(value));
	int			n = list_length(elements);
	int			known = 0;

	if (value->type != jbvNull && JsonToArray(value) == NULL)
		MilvusInvalidParameter("The Input data type is inconsistent with defined schema, {%s} field should be a array_of_struct, but got a {%s} instead, row number: %d",
							   name, JsonTypeName(value), row);
	for (int i = 0; i < collection->nfields; i++)
	{
		const CollectionField *field = &collection->fields[i];
		FieldReader *reader;
		Datum	   *values;
		ListCell   *cell;

		if (field->struct_name == NULL || strcmp(field->struct_name, name) != 0)
			continue;
		known++;
		if (value->type == jbvNull)
		{
			BatchSetNull(batch, row, i);
			continue;
		}
		reader = BatchReader(batch, i);
		values = palloc(sizeof(Datum) * Max(n, 1));
		foreach(cell, elements)
		{
			JsonbContainer *object = JsonToObject(lfirst(cell));
			JsonbValue	part;

			if (object == NULL)
				FieldWrongType(field, JsonTypeName(lfirst(cell)), row);
			if (!JsonGet(object, field->sub_name, &part))
				MilvusInvalidParameter("fieldSchema(%s) has no corresponding fieldData pass in, row number: %d", field->name, row);
			values[foreach_current_index(cell)] = FieldElementFromJson(reader, &part, row);
		}
		BatchSetValue(batch, row, i, FieldArray(reader, values, n, row));
	}
	if (value->type != jbvNull)
	{
		ListCell   *cell;

		foreach(cell, elements)
		{
			ListCell   *key;

			if ((int) JsonContainerSize(JsonToObject(lfirst(cell))) == known)
				continue;		/* it has all of them */
			foreach(key, JsonKeys(JsonToObject(lfirst(cell))))
				if (CollectionFindField(collection, psprintf("%s[%s]", name, (char *) lfirst(key))) == NULL)
					MilvusInvalidParameter("Attempt to insert an unexpected field `%s[%s]` to collection", name, (char *) lfirst(key));
		}
	}
}

void
BatchSetJson(WriteBatch *batch, int row, int field, const char *struct_name, const JsonbValue *value)
{
	const CollectionField *definition;

	if (field < 0)
	{
		set_struct(batch, row, struct_name, value);
		return;
	}
	definition = &batch->collection->fields[field];
	if (definition->is_generated)
		MilvusInvalidParameter("Attempt to insert an unexpected function output field `%s` to collection", definition->name);
	if (value->type == jbvNull)
		BatchSetNull(batch, row, field);
	else
		BatchSetValue(batch, row, field, FieldFromJson(BatchReader(batch, field), value, row));
}

/*
 * One row of JSON.
 */
static void
add_object(WriteBatch *batch, JsonbContainer *object)
{
	const Collection *collection = batch->collection;
	JsonbParseState *meta = NULL;
	JsonbIterator *it = JsonbIteratorInit(object);
	JsonbIteratorToken token;
	JsonbValue	value;
	JsonbValue	key = {.type = jbvNull};
	int			row = BatchAddRows(batch, 1);

	while ((token = JsonbIteratorNext(&it, &value, true)) != WJB_DONE)
	{
		int			field;

		if (token == WJB_KEY)
			key = value;
		if (token != WJB_VALUE)
			continue;
		field = field_of_key(collection, key.val.string.val, key.val.string.len);
		if (field >= 0 && !collection->fields[field].is_dynamic)
			BatchSetJson(batch, row, field, NULL, &value);
		else
		{
			char	   *name = JsonText(&key);

			if (is_struct(collection, name))
				BatchSetJson(batch, row, -1, name, &value);
			else if (collection->meta == NULL)
				MilvusInvalidParameter("Attempt to insert an unexpected field `%s` to collection without enabling dynamic field", name);
			else if (field >= 0)
				MilvusInvalidParameter("use the invalid field name(%s) when enable dynamicField", name);
			else
			{
				if (meta == NULL)
					pushJsonbValue(&meta, WJB_BEGIN_OBJECT, NULL);
				pushJsonbValue(&meta, WJB_KEY, &key);
				pushJsonbValue(&meta, WJB_VALUE, &value);
			}
			pfree(name);
		}
	}
	if (meta != NULL)
	{
		int			field = collection->meta - collection->fields;
		Jsonb	   *json = JsonbValueToJsonb(pushJsonbValue(&meta, WJB_END_OBJECT, NULL));

		FieldCheck(BatchReader(batch, field), JsonbPGetDatum(json), row);
		BatchSetValue(batch, row, field, JsonbPGetDatum(json));
	}
}

void
BatchAddJson(WriteBatch *batch, Jsonb *data)
{
	JsonbIterator *it;
	JsonbIteratorToken token;
	JsonbValue	value;

	if (JB_ROOT_IS_OBJECT(data))
	{
		add_object(batch, &data->root);
		return;
	}
	if (JB_ROOT_IS_SCALAR(data))
		MilvusInvalidParameter("wrong type of argument 'data', expected 'Dict' or list of 'Dict'");
	it = JsonbIteratorInit(&data->root);
	while ((token = JsonbIteratorNext(&it, &value, true)) != WJB_DONE)
	{
		if (token != WJB_ELEM)
			continue;
		CHECK_FOR_INTERRUPTS();
		if (JsonToObject(&value) == NULL)
			MilvusInvalidParameter("wrong type of argument 'data', expected 'Dict' or list of 'Dict', got '%s'", JsonTypeName(&value));
		add_object(batch, JsonToObject(&value));
	}
}

/* ---- completing ---- */

/*
 * The default of a field, or the next key that the table makes.
 */
static Datum
compute_default(WriteBatch *batch, int field, bool *isnull)
{
	ExprContext *context;

	if (batch->defaults[field] == NULL)
	{
		Relation	rel = table_open(batch->collection->relid, NoLock);
		Node	   *expr = build_column_default(rel, batch->collection->fields[field].attnum);

		table_close(rel, NoLock);
		if (expr == NULL)
		{
			*isnull = true;
			return (Datum) 0;
		}
		if (batch->estate == NULL)
			batch->estate = CreateExecutorState();
		batch->defaults[field] = ExecPrepareExpr((Expr *) expr, batch->estate);
	}
	/* results live as long as the batch */
	context = GetPerTupleExprContext(batch->estate);
	return ExecEvalExpr(batch->defaults[field], context, isnull);
}

static void
complete_field(WriteBatch *batch, int field, const int *rows, int nrows, BatchKeyMode mode)
{
	const CollectionField *definition = &batch->collection->fields[field];
	bool		is_auto = definition->is_primary && definition->auto_id;
	bool		any = false;
	bool		has_default = definition->has_default || is_auto;

	if (definition->is_generated)
		return;
	for (int i = 0; i < nrows; i++)
	{
		Size		at = BatchIndex(batch, rows != NULL ? rows[i] : i, field);

		if (batch->given[at])
		{
			if (is_auto && mode == KEYS_MADE && !batch->collection->allow_insert_auto_id)
				MilvusInvalidParameter("can not assign primary field data when auto id enabled %s", definition->name);
			any = true;
		}
		else if (!has_default && !definition->nullable && !definition->is_function_output && !definition->is_dynamic)
			MilvusInvalidParameter("fieldSchema(%s) has no corresponding fieldData pass in", definition->name);
	}
	/* keys are told, so they are needed here; other defaults are the table's business unless rows differ */
	if (!definition->is_primary && !any)
		return;
	for (int i = 0; i < nrows; i++)
	{
		Size		at = BatchIndex(batch, rows != NULL ? rows[i] : i, field);

		if (batch->given[at] && !(is_auto && mode == KEYS_ANEW))
			continue;
		if (has_default || definition->is_dynamic)
			batch->values[at] = compute_default(batch, field, &batch->isnull[at]);
		if (definition->is_primary && batch->isnull[at])
			MilvusInvalidParameter("fieldSchema(%s) has no corresponding fieldData pass in", definition->name);
	}
}

void
BatchComplete(WriteBatch *batch, const int *rows, int nrows, BatchKeyMode mode)
{
	for (int i = 0; i < batch->width; i++)
		complete_field(batch, i, rows, nrows, mode);
}

void
BatchNewKeys(WriteBatch *batch)
{
	int			field = batch->collection->primary - batch->collection->fields;

	for (int i = 0; i < batch->nrows; i++)
		batch->values[BatchIndex(batch, i, field)] = compute_default(batch, field, &batch->isnull[BatchIndex(batch, i, field)]);
}

/* ---- keys ---- */

int
CompareKeys(const CollectionField *primary, Datum a, Datum b)
{
	int64		i;
	int64		j;

	switch (primary->type)
	{
		case MILVUS_INT64:
			i = DatumGetInt64(a);
			j = DatumGetInt64(b);
			break;
		case MILVUS_INT32:
			i = DatumGetInt32(a);
			j = DatumGetInt32(b);
			break;
		case MILVUS_INT8:
		case MILVUS_INT16:
			i = DatumGetInt16(a);
			j = DatumGetInt16(b);
			break;
		default:
			{
				text	   *s = DatumGetTextPP(a);
				text	   *t = DatumGetTextPP(b);
				int			n = VARSIZE_ANY_EXHDR(s);
				int			m = VARSIZE_ANY_EXHDR(t);
				int			result = memcmp(VARDATA_ANY(s), VARDATA_ANY(t), Min(n, m));

				return result != 0 ? result : n < m ? -1 : n > m;
			}
	}
	return i < j ? -1 : i > j;
}

static int
compare_rows(const void *a, const void *b, void *arg)
{
	const WriteBatch *batch = arg;

	return CompareKeys(batch->collection->primary, BatchKey(batch, *(const int *) a), BatchKey(batch, *(const int *) b));
}

int *
BatchSortByKey(const WriteBatch *batch)
{
	int		   *rows = palloc(sizeof(int) * Max(batch->nrows, 1));

	for (int i = 0; i < batch->nrows; i++)
		rows[i] = i;
	qsort_arg(rows, batch->nrows, sizeof(int), compare_rows, (void *) batch);
	return rows;
}

void
BatchCheckKeys(WriteBatch *batch)
{
	const CollectionField *primary = batch->collection->primary;
	int		   *rows;

	for (int i = 0; i < batch->nrows; i++)
		if (batch->isnull[BatchIndex(batch, i, primary - batch->collection->fields)])
			MilvusInvalidParameter("fieldSchema(%s) has no corresponding fieldData pass in", primary->name);
	rows = BatchSortByKey(batch);
	for (int i = 1; i < batch->nrows; i++)
		if (compare_rows(&rows[i - 1], &rows[i], batch) == 0)
			MilvusInvalidParameter("duplicate primary keys are not allowed in the same batch");
}

ArrayType *
BatchKeys(const WriteBatch *batch, const int *rows, int nrows)
{
	const CollectionField *primary = batch->collection->primary;
	Datum	   *keys = palloc(sizeof(Datum) * Max(nrows, 1));
	int16		length;
	bool		byval;
	char		align;

	for (int i = 0; i < nrows; i++)
		keys[i] = BatchKey(batch, rows != NULL ? rows[i] : i);
	get_typlenbyvalalign(primary->typid, &length, &byval, &align);
	return construct_array(keys, nrows, primary->typid, length, byval, align);
}

Datum
KeysJson(const Collection *collection, const Datum *keys, int n)
{
	JsonbParseState *state = NULL;

	pushJsonbValue(&state, WJB_BEGIN_ARRAY, NULL);
	for (int i = 0; i < n; i++)
	{
		Datum		key = keys[i];
		JsonbValue	value = {.type = jbvNumeric};

		switch (collection->primary->type)
		{
			case MILVUS_INT64:
				value.val.numeric = int64_to_numeric(DatumGetInt64(key));
				break;
			case MILVUS_INT32:
				value.val.numeric = int64_to_numeric(DatumGetInt32(key));
				break;
			case MILVUS_INT8:
			case MILVUS_INT16:
				value.val.numeric = int64_to_numeric(DatumGetInt16(key));
				break;
			default:
				value.type = jbvString;
				value.val.string.val = TextDatumGetCString(key);
				value.val.string.len = strlen(value.val.string.val);
		}
		pushJsonbValue(&state, WJB_ELEM, &value);
	}
	return JsonbPGetDatum(JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_ARRAY, NULL)));
}

Datum
BatchKeysJson(const WriteBatch *batch)
{
	Datum	   *keys = palloc(sizeof(Datum) * Max(batch->nrows, 1));

	for (int i = 0; i < batch->nrows; i++)
		keys[i] = BatchKey(batch, i);
	return KeysJson(batch->collection, keys, batch->nrows);
}

/* ---- fields ---- */

Bitmapset *
BatchFields(const WriteBatch *batch, const int *rows, int nrows)
{
	Bitmapset  *fields = NULL;

	for (int field = 0; field < batch->width; field++)
		for (int i = 0; i < nrows; i++)
		{
			Size		at = BatchIndex(batch, rows != NULL ? rows[i] : i, field);

			if (batch->given[at] || !batch->isnull[at])
			{
				fields = bms_add_member(fields, field);
				break;
			}
		}
	return fields;
}
