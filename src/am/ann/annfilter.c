/*
 * annfilter.c
 *		Conditions on scalar columns: scan keys made ready, and tested on rows of
 *		the growing part.
 *
 * A condition holds only if it is true; what is NULL does not match, as in WHERE.
 * A NULL constant therefore matches nothing, and NULLs in a list are left out.
 */
#include "postgres.h"

#include "am/ann/annfilter_internal.h"
#include "utils/array.h"
#include "utils/lsyscache.h"

/* ---- preparing ---- */

/* Values compared by two different types' comparison. */
typedef struct SortContext
{
	FmgrInfo	cmp;
	Oid			collation;
} SortContext;

static int
compare_constants(const void *a, const void *b, void *arg)
{
	SortContext *context = arg;

	return DatumGetInt32(FunctionCall2Coll(&context->cmp, context->collation,
										   *(const Datum *) a, *(const Datum *) b));
}

/*
 * Sort constants and drop repeated ones.
 */
static void
sort_constants(AnnFilterKey *key, SortContext *context)
{
	int			count = 0;

	if (key->nvalues < 2)
		return;
	qsort_arg(key->values, key->nvalues, sizeof(Datum), compare_constants, context);
	for (int i = 0; i < key->nvalues; i++)
		if (count == 0 || compare_constants(&key->values[count - 1], &key->values[i], context) != 0)
			key->values[count++] = key->values[i];
	key->nvalues = count;
}

/*
 * The family's comparison of two types.
 */
static void
find_comparison(const AnnAttrColumn *column, Oid left, Oid right, FmgrInfo *cmp)
{
	Oid			proc;

	if (left == column->input && right == column->input)
	{
		*cmp = column->cmp;
		return;
	}
	proc = get_opfamily_proc(column->family, left, right, ANN_SUPPORT_COMPARE);
	if (!OidIsValid(proc))
		elog(ERROR, "missing support function %d(%u,%u) in opfamily %u", ANN_SUPPORT_COMPARE, left,
			 right, column->family);
	fmgr_info(proc, cmp);
}

/*
 * Take an array's elements as the key's values.
 */
static void
take_elements(AnnFilterKey *key, Datum array_datum)
{
	ArrayType  *array = DatumGetArrayTypeP(array_datum);
	int16		typlen;
	bool		typbyval;
	char		typalign;
	bool	   *nulls;
	int			n;

	get_typlenbyvalalign(ARR_ELEMTYPE(array), &typlen, &typbyval, &typalign);
	deconstruct_array(array, ARR_ELEMTYPE(array), typlen, typbyval, typalign, &key->values, &nulls, &n);
	for (int i = 0; i < n; i++)
	{
		if (nulls[i])
			key->has_null = true;
		else
			key->values[key->nvalues++] = key->values[i];
	}
}

static void
prepare_array_key(AnnFilter *filter, AnnFilterKey *key, const AnnAttrColumn *column, ScanKey scan_key)
{
	SortContext context;

	key->kind = ANN_KEY_ARRAY;
	key->cmp = column->cmp;
	key->argument = PointerGetDatum(DatumGetArrayTypeP(scan_key->sk_argument));
	take_elements(key, key->argument);
	context.cmp = column->cmp;
	context.collation = column->collation;
	sort_constants(key, &context);
	switch (key->strategy)
	{
		case ANN_ARRAY_OVERLAPS:
			/* NULLs are equal to nothing */
			filter->nothing |= key->nvalues == 0;
			break;
		case ANN_ARRAY_CONTAINS:
			filter->nothing |= key->has_null;
			break;
		case ANN_ARRAY_CONTAINED:
			break;
		case ANN_ARRAY_EQUAL:
			/* segments do not keep the order of elements */
			filter->lossy = true;
			break;
		default:
			elog(ERROR, "unrecognized strategy number %d of an array column", key->strategy);
	}
}

static void
prepare_scalar_key(AnnFilter *filter, AnnFilterKey *key, const AnnAttrColumn *column, ScanKey scan_key)
{
	Oid			type = OidIsValid(scan_key->sk_subtype) ? scan_key->sk_subtype : column->input;

	find_comparison(column, column->input, type, &key->cmp);
	if (scan_key->sk_flags & SK_SEARCHARRAY)
	{
		SortContext context;

		take_elements(key, scan_key->sk_argument);
		find_comparison(column, type, type, &context.cmp);
		context.collation = scan_key->sk_collation;
		sort_constants(key, &context);
		filter->nothing |= key->nvalues == 0;
		if (key->strategy == BTEqualStrategyNumber)
			key->kind = ANN_KEY_ANY_OF;
		else if (key->nvalues > 0)
		{
			/* less than any is less than the greatest */
			key->kind = ANN_KEY_COMPARE;
			if (key->strategy == BTLessStrategyNumber || key->strategy == BTLessEqualStrategyNumber)
				key->values[0] = key->values[key->nvalues - 1];
			key->nvalues = 1;
		}
	}
	else
	{
		key->kind = ANN_KEY_COMPARE;
		key->values = palloc(sizeof(Datum));
		key->values[0] = scan_key->sk_argument;
		if (get_typlen(type) == -1)
			key->values[0] = PointerGetDatum(PG_DETOAST_DATUM_PACKED(scan_key->sk_argument));
		key->nvalues = 1;
	}
}

AnnFilter *
AnnFilterCreate(const AnnAttrs *attrs, ScanKey keys, int nkeys)
{
	AnnFilter  *filter;

	if (nkeys == 0)
		return NULL;
	filter = palloc0(sizeof(AnnFilter));
	filter->attrs = attrs;
	filter->keys = palloc0(sizeof(AnnFilterKey) * nkeys);
	for (int k = 0; k < nkeys; k++)
	{
		ScanKey		scan_key = &keys[k];
		AnnFilterKey *key = &filter->keys[filter->nkeys];
		const AnnAttrColumn *column;

		if (scan_key->sk_attno == 1)
		{
			if (scan_key->sk_flags & SK_SEARCHNULL)
				filter->vector_null = true;
			else if (scan_key->sk_flags & SK_SEARCHNOTNULL)
				filter->vector_not_null = true;
			else
				elog(ERROR, "a vector cannot be searched by an operator");
			continue;
		}
		if (attrs == NULL || scan_key->sk_attno > attrs->n + 1)
			elog(ERROR, "invalid column of a scan key");
		memset(key, 0, sizeof(*key));
		key->i = scan_key->sk_attno - 2;
		column = &attrs->columns[key->i];
		key->collation = scan_key->sk_collation;
		key->strategy = scan_key->sk_strategy;
		key->func = &scan_key->sk_func;
		if (scan_key->sk_flags & SK_SEARCHNULL)
			key->kind = ANN_KEY_IS_NULL;
		else if (scan_key->sk_flags & SK_SEARCHNOTNULL)
			key->kind = ANN_KEY_NOT_NULL;
		else if (scan_key->sk_flags & SK_ISNULL)
		{
			filter->nothing = true;
			continue;
		}
		else if (column->array && (scan_key->sk_flags & SK_SEARCHARRAY))
		{
			/* an operator on arrays and any of a list of them: the executor's */
			filter->lossy = true;
			continue;
		}
		else if (column->array)
			prepare_array_key(filter, key, column, scan_key);
		else
			prepare_scalar_key(filter, key, column, scan_key);
		filter->nkeys++;
	}
	return filter;
}

bool
AnnFilterAllows(const AnnFilter *filter, AnnRowClass class)
{
	if (filter == NULL)
		return true;
	if (filter->nothing || (filter->vector_null && filter->vector_not_null))
		return false;
	return class == ANN_ROW_NULL ? !filter->vector_not_null : !filter->vector_null;
}

bool
AnnFilterHasAttrs(const AnnFilter *filter)
{
	return filter != NULL && filter->nkeys > 0;
}

bool
AnnFilterIsLossy(const AnnFilter *filter)
{
	return filter != NULL && filter->lossy;
}

/* ---- growing rows ---- */

static bool
is_any_of(AnnFilterKey *key, const AnnAttrColumn *column, Datum value)
{
	int			low = 0;
	int			high = key->nvalues;

	while (low < high)
	{
		int			middle = low + (high - low) / 2;
		int			cmp = DatumGetInt32(FunctionCall2Coll(&key->cmp, column->collation, value,
														  key->values[middle]));

		if (cmp == 0)
			return true;
		if (cmp < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return false;
}

static bool
compare_holds(AnnFilterKey *key, const AnnAttrColumn *column, Datum value)
{
	int			cmp = DatumGetInt32(FunctionCall2Coll(&key->cmp, column->collation, value, key->values[0]));

	switch (key->strategy)
	{
		case BTLessStrategyNumber:
			return cmp < 0;
		case BTLessEqualStrategyNumber:
			return cmp <= 0;
		case BTEqualStrategyNumber:
			return cmp == 0;
		case BTGreaterEqualStrategyNumber:
			return cmp >= 0;
		case BTGreaterStrategyNumber:
			return cmp > 0;
	}
	elog(ERROR, "unrecognized strategy number %d of a scalar column", key->strategy);
}

bool
AnnFilterTuple(AnnFilter *filter, IndexTuple tuple)
{
	for (int k = 0; k < filter->nkeys; k++)
	{
		AnnFilterKey *key = &filter->keys[k];
		const AnnAttrColumn *column = &filter->attrs->columns[key->i];
		bool		isnull;
		Datum		value = index_getattr(tuple, key->i + 1, filter->attrs->desc, &isnull);
		bool		holds = false;

		switch (key->kind)
		{
			case ANN_KEY_IS_NULL:
				holds = isnull;
				break;
			case ANN_KEY_NOT_NULL:
				holds = !isnull;
				break;
			case ANN_KEY_COMPARE:
				holds = !isnull && compare_holds(key, column, value);
				break;
			case ANN_KEY_ANY_OF:
				holds = !isnull && is_any_of(key, column, value);
				break;
			case ANN_KEY_ARRAY:
				holds = !isnull && DatumGetBool(FunctionCall2Coll(key->func, key->collation, value,
																  key->argument));
				break;
		}
		if (!holds)
			return false;
	}
	return true;
}
