/*
 * columnfilter.c
 *		Column filters at work: operands evaluated once, values of a view compared many
 *		at a time, chunks judged by their minimum, maximum and Bloom filter.
 *
 * A comparison of integers of any width, and of what is stored as one, becomes a range of
 * the column's own integers; so operators of two types, and constants that the column's
 * type does not have, need nothing of their own.  Comparisons of float4 with float8 become
 * comparisons with the neighbouring float4.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "planner/columnscan_internal.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/cash.h"
#include "utils/date.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

/* How much work a value is, roughly. */
static int
cost_class(const ColumnFilter *filter)
{
	int			most = 0;
	ListCell   *cell;

	foreach(cell, filter->children)
		most = Max(most, cost_class(lfirst(cell)));
	if (filter->order >= ORDER_BYTES)
		return 3;
	if (filter->kind == COLUMN_IN)
		return 2;
	return Max(most, filter->kind != COLUMN_NULL);
}

static int
compare_costs(const ListCell *a, const ListCell *b)
{
	return cost_class(lfirst(a)) - cost_class(lfirst(b));
}

void
ColumnFilterInit(ColumnFilter *filter, PlanState *ps, TupleDesc desc)
{
	ListCell   *cell;

	if (filter->children != NIL)
	{
		foreach(cell, filter->children)
			ColumnFilterInit(lfirst(cell), ps, desc);
		list_sort(filter->children, compare_costs);
		return;
	}
	filter->stored_type = TupleDescAttr(desc, filter->attnum - 1)->atttypid;
	filter->stored_collation = TupleDescAttr(desc, filter->attnum - 1)->attcollation;
	filter->trimmed = getBaseType(filter->stored_type) == BPCHAROID;
	/* a column seen as another type may be in another order; LIKE sees blanks that bounds lack */
	filter->judged = ColumnOrderOfType(getBaseType(filter->stored_type)) == filter->order ||
		(filter->kind == COLUMN_PREFIX && filter->trimmed);
	if (filter->operand != NULL && !IsA(filter->operand, Const))
		filter->state = ExecInitExpr(filter->operand, ps);
}

/* ---- operands ---- */

static bool
is_integer_order(ColumnOrder order)
{
	return order >= ORDER_UINT8 && order <= ORDER_UINT32;
}

static void
integer_domain(ColumnOrder order, int64 *low, int64 *high)
{
	switch (order)
	{
		case ORDER_UINT8:
			*low = 0;
			*high = PG_UINT8_MAX;
			break;
		case ORDER_INT16:
			*low = PG_INT16_MIN;
			*high = PG_INT16_MAX;
			break;
		case ORDER_INT32:
			*low = PG_INT32_MIN;
			*high = PG_INT32_MAX;
			break;
		case ORDER_UINT32:
			*low = 0;
			*high = PG_UINT32_MAX;
			break;
		default:
			*low = PG_INT64_MIN;
			*high = PG_INT64_MAX;
			break;
	}
}

/*
 * An operand as an integer of the column's scale; *beyond: -1, 1 when it lies between the
 * scale's infinity, which *value is then, and all finite values.
 */
static int64
integer_operand(Oid column_type, Oid type, Datum value, int *beyond)
{
	*beyond = 0;
	switch (type)
	{
		case BOOLOID:
			return DatumGetBool(value);
		case CHAROID:
			return DatumGetUInt8(value);
		case INT2OID:
			return DatumGetInt16(value);
		case INT4OID:
			return DatumGetInt32(value);
		case OIDOID:
			return DatumGetObjectId(value);
		case DATEOID:
			if (column_type == TIMESTAMPOID)
				return date2timestamp_opt_overflow(DatumGetDateADT(value), beyond);
			if (column_type == TIMESTAMPTZOID)
				return date2timestamptz_opt_overflow(DatumGetDateADT(value), beyond);
			return DatumGetDateADT(value);
		case TIMESTAMPOID:
			if (column_type == TIMESTAMPTZOID)
				return timestamp2timestamptz_opt_overflow(DatumGetTimestamp(value), beyond);
			return DatumGetTimestamp(value);
		case INT8OID:
		case TIMEOID:
		case TIMESTAMPTZOID:
		case CASHOID:
			return DatumGetInt64(value);
		default:				/* an enum */
			return DatumGetObjectId(value);
	}
}

/* No value, or every value that is not null, satisfies the plain leaf. */
static void
match_constantly(ColumnFilter *filter, bool every)
{
	if (every != filter->negated)
		filter->all = true;
	else
		filter->none = true;
}

static void
bind_integer(ColumnFilter *filter, Datum value)
{
	int64		least;
	int64		most;
	int			beyond;
	int64		number = integer_operand(filter->column_type, filter->operand_type, value, &beyond);
	int64		low;
	int64		high;
	bool		empty = false;

	integer_domain(filter->order, &least, &most);
	low = least;
	high = most;
	/* the column's values below the operand are those up to `below`, and so on */
	switch (filter->op)
	{
		case FILTER_EQ:
			empty = beyond != 0;
			low = high = number;
			break;
		case FILTER_LT:
		case FILTER_LE:
			if (beyond < 0 || (beyond == 0 && filter->op == FILTER_LE))
				high = number;
			else if (number == PG_INT64_MIN)
				empty = true;
			else
				high = number - 1;
			break;
		default:
			if (beyond > 0 || (beyond == 0 && filter->op == FILTER_GE))
				low = number;
			else if (number == PG_INT64_MAX)
				empty = true;
			else
				low = number + 1;
			break;
	}
	filter->low = Max(low, least);
	filter->high = Min(high, most);
	if (empty || filter->low > filter->high)
		match_constantly(filter, false);
	else if (filter->low == least && filter->high == most)
		match_constantly(filter, true);
}

/* The float4 next to x, upwards or downwards. */
static float
next_float(float x, bool up)
{
	return nextafterf(x, up ? INFINITY : -INFINITY);
}

static double
float_operand(Oid type, Datum value)
{
	return type == FLOAT4OID ? (double) DatumGetFloat4(value) : DatumGetFloat8(value);
}

static void
bind_float(ColumnFilter *filter, Datum value)
{
	double		number = float_operand(filter->operand_type, value);
	float		near = (float) number;

	filter->float_op = filter->op;
	filter->number = number;
	if (filter->order == ORDER_FLOAT8 || isnan(number))
		return;
	filter->number = near;
	if ((double) near == number)
		return;
	/* number lies between near and one of its neighbours */
	switch (filter->op)
	{
		case FILTER_EQ:
			match_constantly(filter, false);
			break;
		case FILTER_LT:
		case FILTER_LE:
			filter->float_op = FILTER_LE;
			filter->number = (double) near < number ? near : next_float(near, false);
			break;
		default:
			filter->float_op = FILTER_GE;
			filter->number = (double) near > number ? near : next_float(near, true);
			break;
	}
}

static void
trim_blanks(ColumnBytes *bytes)
{
	while (bytes->length > 0 && bytes->data[bytes->length - 1] == ' ')
		bytes->length--;
}

static ColumnBytes
bytes_operand(ColumnOrder order, Datum value)
{
	ColumnBytes bytes;

	if (order == ORDER_FIXED)
	{
		bytes.data = (const uint8 *) DatumGetPointer(value);
		bytes.length = ORDER_FIXED_BYTES;
	}
	else
	{
		struct varlena *string = PG_DETOAST_DATUM_PACKED(value);

		bytes.data = (const uint8 *) VARDATA_ANY(string);
		bytes.length = (uint32) VARSIZE_ANY_EXHDR(string);
		if (order == ORDER_PADDED)
			trim_blanks(&bytes);
	}
	return bytes;
}

static int
compare_bytes(const ColumnBytes *a, const ColumnBytes *b)
{
	int			result = memcmp(a->data, b->data, Min(a->length, b->length));

	if (result != 0)
		return result;
	return a->length < b->length ? -1 : a->length > b->length;
}

static int
compare_integers(const void *a, const void *b)
{
	int64		x = *(const int64 *) a;
	int64		y = *(const int64 *) b;

	return x < y ? -1 : x > y;
}

/* In PostgreSQL's order: NaN last, the zeros equal. */
static int
compare_numbers(const void *a, const void *b)
{
	double		x = *(const double *) a;
	double		y = *(const double *) b;

	if (isnan(x) || isnan(y))
		return (int) isnan(x) - (int) isnan(y);
	return x < y ? -1 : x > y;
}

static int
compare_strings(const void *a, const void *b)
{
	return compare_bytes(a, b);
}

/* Sort n elements of `size` bytes, drop repeated ones; returns how many are left. */
static int
sort_unique(void *set, int n, Size size, int (*compare) (const void *, const void *))
{
	char	   *at = set;
	int			kept = 0;

	if (n == 0)
		return 0;
	qsort(set, (Size) n, size, compare);
	for (int i = 1; i < n; i++)
		if (compare(at + (Size) kept * size, at + (Size) i * size) != 0)
			memcpy(at + (Size) ++kept * size, at + (Size) i * size, size);
	return kept + 1;
}

/* Bytes of a value in a view of an integer order. */
static uint32
integer_width(ColumnOrder order)
{
	switch (order)
	{
		case ORDER_UINT8:
			return 1;
		case ORDER_INT16:
			return 2;
		case ORDER_INT64:
			return 8;
		default:
			return 4;
	}
}

/* The set of integers in the column's width. */
static void *
narrow_set(const ColumnFilter *filter)
{
	uint32		width = integer_width(filter->order);
	uint8	   *narrow = palloc((Size) filter->nset * width);

	for (int i = 0; i < filter->nset; i++)
	{
		switch (width)
		{
			case 1:
				narrow[i] = (uint8) filter->integers[i];
				break;
			case 2:
				((int16 *) narrow)[i] = (int16) filter->integers[i];
				break;
			case 4:
				((uint32 *) narrow)[i] = (uint32) filter->integers[i];
				break;
			default:
				((int64 *) narrow)[i] = filter->integers[i];
				break;
		}
	}
	return narrow;
}

static void
bind_set(ColumnFilter *filter, Datum value)
{
	ArrayType  *array = DatumGetArrayTypeP(value);
	int16		length;
	bool		byval;
	char		align;
	Datum	   *elements;
	bool	   *nulls;
	int			n;
	int			kept = 0;
	int64		least;
	int64		most;

	get_typlenbyvalalign(ARR_ELEMTYPE(array), &length, &byval, &align);
	deconstruct_array(array, ARR_ELEMTYPE(array), length, byval, align, &elements, &nulls, &n);
	if (n == 0)
	{
		/* not even a null column makes this null */
		match_constantly(filter, false);
		filter->nulls_too = filter->all;
		return;
	}
	if (is_integer_order(filter->order))
		filter->integers = palloc((Size) n * sizeof(int64));
	else if (filter->order == ORDER_FLOAT4 || filter->order == ORDER_FLOAT8)
		filter->numbers = palloc((Size) n * sizeof(double));
	else
		filter->strings = palloc((Size) n * sizeof(ColumnBytes));
	integer_domain(filter->order, &least, &most);
	for (int i = 0; i < n; i++)
	{
		if (nulls[i])
		{
			/* a row that equals no other element is null, not false */
			if (filter->negated)
			{
				filter->none = true;
				return;
			}
			continue;
		}
		if (filter->integers != NULL)
		{
			int			beyond;
			int64		number = integer_operand(filter->column_type, filter->operand_type, elements[i], &beyond);

			if (beyond == 0 && number >= least && number <= most)
				filter->integers[kept++] = number;
		}
		else if (filter->numbers != NULL)
		{
			double		number = float_operand(filter->operand_type, elements[i]);

			if (filter->order == ORDER_FLOAT8 || isnan(number) || (double) (float) number == number)
				filter->numbers[kept++] = number;
		}
		else
			filter->strings[kept++] = bytes_operand(filter->order, elements[i]);
	}
	if (filter->integers != NULL)
		kept = sort_unique(filter->integers, kept, sizeof(int64), compare_integers);
	else if (filter->numbers != NULL)
		kept = sort_unique(filter->numbers, kept, sizeof(double), compare_numbers);
	else
		kept = sort_unique(filter->strings, kept, sizeof(ColumnBytes), compare_strings);
	filter->nset = kept;
	if (kept == 0)
		match_constantly(filter, false);
	else if (filter->integers != NULL)
		filter->narrow = narrow_set(filter);
}

/* ---- Bloom filters ---- */

/*
 * Hashes of the values that an equality or a set asks for, as those of the column's type
 * were hashed when its chunks were written.
 */
static void
bind_hashes(ColumnFilter *filter)
{
	int			n = filter->kind == COLUMN_IN ? filter->nset : 1;
	bool		numbers = filter->order == ORDER_FLOAT4 || filter->order == ORDER_FLOAT8;
	TableBloomHash hash;

	filter->hashes = NULL;
	if (!filter->judged || filter->none || filter->all || filter->negated || filter->op != FILTER_EQ || n > 64 ||
		(filter->kind != COLUMN_IN && filter->kind != COLUMN_COMPARE) ||
		!TableBloomHashInit(filter->stored_type, filter->stored_collation, &hash))
		return;
	filter->hashes = palloc((Size) n * sizeof(uint64));
	for (int i = 0; i < n; i++)
	{
		Datum		value;

		if (is_integer_order(filter->order))
		{
			int64		number = filter->kind == COLUMN_IN ? filter->integers[i] : filter->low;

			switch (filter->order)
			{
				case ORDER_UINT8:
					value = filter->column_type == BOOLOID ? BoolGetDatum(number != 0) : CharGetDatum((char) number);
					break;
				case ORDER_INT16:
					value = Int16GetDatum((int16) number);
					break;
				case ORDER_INT32:
					value = Int32GetDatum((int32) number);
					break;
				case ORDER_UINT32:
					value = ObjectIdGetDatum((Oid) number);
					break;
				default:
					value = Int64GetDatum(number);
					break;
			}
		}
		else if (numbers)
		{
			double		number = filter->kind == COLUMN_IN ? filter->numbers[i] : filter->number;

			value = filter->order == ORDER_FLOAT4 ? Float4GetDatum((float4) number) : Float8GetDatum(number);
		}
		else
		{
			ColumnBytes *bytes = filter->kind == COLUMN_IN ? &filter->strings[i] : &filter->bytes;

			value = filter->order == ORDER_FIXED ? PointerGetDatum(bytes->data) :
				PointerGetDatum(cstring_to_text_with_len((const char *) bytes->data, (int) bytes->length));
		}
		filter->hashes[i] = TableBloomHashDatum(&hash, value);
	}
}

void
ColumnFilterBind(ColumnFilter *filter, ExprContext *econtext)
{
	Datum		value;
	bool		isnull;
	ListCell   *cell;

	foreach(cell, filter->children)
		ColumnFilterBind(lfirst(cell), econtext);
	if (filter->operand == NULL)
		return;
	filter->none = filter->all = filter->nulls_too = false;
	filter->nset = 0;
	filter->integers = NULL;
	filter->numbers = NULL;
	filter->strings = NULL;
	filter->hashes = NULL;
	filter->narrow = NULL;
	if (filter->state != NULL)
		value = ExecEvalExpr(filter->state, econtext, &isnull);
	else
	{
		value = ((Const *) filter->operand)->constvalue;
		isnull = ((Const *) filter->operand)->constisnull;
	}
	if (isnull)
	{
		filter->none = true;
		return;
	}
	if (filter->kind == COLUMN_IN)
		bind_set(filter, value);
	else if (is_integer_order(filter->order))
		bind_integer(filter, value);
	else if (filter->order == ORDER_FLOAT4 || filter->order == ORDER_FLOAT8)
		bind_float(filter, value);
	else
		filter->bytes = bytes_operand(filter->order, value);
	bind_hashes(filter);
}

/* ---- values ---- */

static void
set_bit(uint64 *mask, uint32 i)
{
	mask[i / 64] |= (uint64) 1 << (i % 64);
}

static bool
get_bit(const uint64 *mask, uint32 i)
{
	return (mask[i / 64] >> (i % 64) & 1) != 0;
}

static ColumnBytes
string_at(const ColumnFilter *filter, const ColumnView *view, uint32 row)
{
	const uint8 *at = view->width != 0 ? view->values + (Size) row * view->width :
		view->values + view->offsets[row];
	ColumnBytes bytes;

	if (filter->order == ORDER_FIXED)
	{
		bytes.data = at;
		bytes.length = ORDER_FIXED_BYTES;
		return bytes;
	}
	bytes.data = (const uint8 *) VARDATA_ANY(at);
	bytes.length = (uint32) VARSIZE_ANY_EXHDR(at);
	if (filter->order == ORDER_PADDED)
		trim_blanks(&bytes);
	return bytes;
}

static bool
string_matches(const ColumnFilter *filter, const ColumnBytes *value)
{
	int			sign;

	switch (filter->kind)
	{
		case COLUMN_IN:
			return bsearch(value, filter->strings, (Size) filter->nset, sizeof(ColumnBytes), compare_strings) != NULL;
		case COLUMN_PREFIX:
			return (filter->op == FILTER_EQ ? value->length == filter->bytes.length :
					value->length >= filter->bytes.length) &&
				memcmp(value->data, filter->bytes.data, filter->bytes.length) == 0;
		default:
			break;
	}
	if (filter->op == FILTER_EQ)
		return value->length == filter->bytes.length &&
			memcmp(value->data, filter->bytes.data, value->length) == 0;
	sign = compare_bytes(value, &filter->bytes);
	switch (filter->op)
	{
		case FILTER_LT:
			return sign < 0;
		case FILTER_LE:
			return sign <= 0;
		case FILTER_GT:
			return sign > 0;
		default:
			return sign >= 0;
	}
}

static void
leaf_integers(const ColumnFilter *filter, const void *values, uint32 n, uint64 *out)
{
	switch (filter->order)
	{
		case ORDER_UINT8:
			FilterUint8(values, n, FILTER_BETWEEN, (uint8) filter->low, (uint8) filter->high, out);
			break;
		case ORDER_INT16:
			FilterInt16(values, n, FILTER_BETWEEN, (int16) filter->low, (int16) filter->high, out);
			break;
		case ORDER_INT32:
			FilterInt32(values, n, FILTER_BETWEEN, (int32) filter->low, (int32) filter->high, out);
			break;
		case ORDER_UINT32:
			FilterUint32(values, n, FILTER_BETWEEN, (uint32) filter->low, (uint32) filter->high, out);
			break;
		default:
			FilterInt64(values, n, FILTER_BETWEEN, filter->low, filter->high, out);
			break;
	}
}

/* Above this, values are looked up one by one. */
#define FILTER_IN_MAX 16

static void
leaf_integer_set(const ColumnFilter *filter, const void *values, uint32 n, const uint64 *in, uint64 *out)
{
	Size		nset = (Size) filter->nset;

	if (filter->nset <= FILTER_IN_MAX)
	{
		switch (integer_width(filter->order))
		{
			case 1:
				FilterIn8(values, n, filter->narrow, nset, out);
				return;
			case 2:
				FilterIn16(values, n, filter->narrow, nset, out);
				return;
			case 4:
				FilterIn32(values, n, filter->narrow, nset, out);
				return;
			default:
				FilterIn64(values, n, filter->narrow, nset, out);
				return;
		}
	}
	memset(out, 0, FilterWords(n) * sizeof(uint64));
	for (uint32 i = 0; i < n; i++)
	{
		int64		number;

		if (!get_bit(in, i))
			continue;
		switch (filter->order)
		{
			case ORDER_UINT8:
				number = ((const uint8 *) values)[i];
				break;
			case ORDER_INT16:
				number = ((const int16 *) values)[i];
				break;
			case ORDER_INT32:
				number = ((const int32 *) values)[i];
				break;
			case ORDER_UINT32:
				number = ((const uint32 *) values)[i];
				break;
			default:
				number = ((const int64 *) values)[i];
				break;
		}
		if (number >= filter->integers[0] && number <= filter->integers[nset - 1] &&
			bsearch(&number, filter->integers, nset, sizeof(int64), compare_integers) != NULL)
			set_bit(out, i);
	}
}

static void
leaf_number_set(const ColumnFilter *filter, const void *values, uint32 n, const uint64 *in, uint64 *out)
{
	memset(out, 0, FilterWords(n) * sizeof(uint64));
	for (uint32 i = 0; i < n; i++)
	{
		double		number;

		if (!get_bit(in, i))
			continue;
		number = filter->order == ORDER_FLOAT4 ? (double) ((const float *) values)[i] : ((const double *) values)[i];
		if (bsearch(&number, filter->numbers, (Size) filter->nset, sizeof(double), compare_numbers) != NULL)
			set_bit(out, i);
	}
}

void
ColumnFilterLeaf(const ColumnFilter *filter, const ColumnView *view, uint32 from, uint32 n,
				 const uint64 *in, uint64 *out)
{
	uint64		nulls[COLUMN_BATCH_WORDS];
	const uint8 *values = view->values + (Size) from * view->width;
	uint32		width = 0;

	Assert(n <= COLUMN_BATCH_ROWS);
	FilterNulls(view->nulls, view->null_offset + from, n, nulls);
	if (filter->kind == COLUMN_NULL)
	{
		memcpy(out, nulls, FilterWords(n) * sizeof(uint64));
		if (filter->negated)
			FilterNot(out, n);
		return;
	}
	if (filter->none || filter->all)
	{
		FilterFill(out, n, filter->all);
		if (!filter->nulls_too)
			FilterAndNot(out, nulls, n);
		return;
	}
	if (is_integer_order(filter->order))
		width = integer_width(filter->order);
	else if (filter->order == ORDER_FLOAT4)
		width = sizeof(float4);
	else if (filter->order == ORDER_FLOAT8)
		width = sizeof(float8);
	else if (filter->order == ORDER_FIXED)
		width = ORDER_FIXED_BYTES;
	if (width != 0 && view->width != width)
	{
		/* a chunk of nulls alone need not have values */
		if (FilterCount(nulls, n) < n)
			elog(ERROR, "values of column %d have %u bytes, not %u", filter->attnum, view->width, width);
		FilterFill(out, n, false);
		return;
	}
	if (is_integer_order(filter->order))
	{
		if (filter->kind == COLUMN_IN)
			leaf_integer_set(filter, values, n, in, out);
		else
			leaf_integers(filter, values, n, out);
	}
	else if (filter->order == ORDER_FLOAT4 || filter->order == ORDER_FLOAT8)
	{
		if (filter->kind == COLUMN_IN)
			leaf_number_set(filter, values, n, in, out);
		else if (filter->order == ORDER_FLOAT4)
			FilterFloat32((const float *) values, n, filter->float_op, (float) filter->number, 0, out);
		else
			FilterFloat64((const double *) values, n, filter->float_op, filter->number, 0, out);
	}
	else
	{
		memset(out, 0, FilterWords(n) * sizeof(uint64));
		for (uint32 w = 0; w < FilterWords(n); w++)
		{
			/* a null has no value to look at */
			uint64		rows = in[w] & ~nulls[w];

			if (w == n / 64)
				rows &= ((uint64) 1 << (n % 64)) - 1;
			for (; rows != 0; rows &= rows - 1)
			{
				uint32		i = w * 64 + (uint32) pg_rightmost_one_pos64(rows);
				ColumnBytes value = string_at(filter, view, from + i);

				if (string_matches(filter, &value))
					set_bit(out, i);
			}
		}
	}
	if (filter->negated)
		FilterNot(out, n);
	FilterAndNot(out, nulls, n);
}

/* ---- chunks ---- */

static bool
may_contain(const ColumnFilter *filter, const TableChunkInfo *info)
{
	int			n = filter->kind == COLUMN_IN ? filter->nset : 1;

	if (filter->hashes == NULL || info->bloom == NULL)
		return true;
	for (int i = 0; i < n; i++)
		if (ColumnBloomMayContain(info->bloom, info->bloom_bytes, filter->hashes[i]))
			return true;
	return false;
}

/* What a range of integers says of a set or range of them. */
static ColumnVerdict
judge_integers(const ColumnFilter *filter, int64 low, int64 high)
{
	if (filter->kind == COLUMN_IN)
	{
		for (int i = 0; i < filter->nset; i++)
			if (filter->integers[i] >= low && filter->integers[i] <= high)
				return low == high ? VERDICT_ALL : VERDICT_SOME;
		return VERDICT_NONE;
	}
	if (filter->high < low || filter->low > high)
		return VERDICT_NONE;
	return filter->low <= low && filter->high >= high ? VERDICT_ALL : VERDICT_SOME;
}

static int64
integer_fact(ColumnOrder order, Datum value)
{
	switch (order)
	{
		case ORDER_UINT8:
			return DatumGetUInt8(value);
		case ORDER_INT16:
			return DatumGetInt16(value);
		case ORDER_INT32:
			return DatumGetInt32(value);
		case ORDER_UINT32:
			return DatumGetUInt32(value);
		default:
			return DatumGetInt64(value);
	}
}

/* Of a comparison whose values lie between low and high, given how these compare. */
static ColumnVerdict
judge_order(FilterOp op, int low, int high)
{
	switch (op)
	{
		case FILTER_EQ:
			if (low > 0 || high < 0)
				return VERDICT_NONE;
			return low == 0 && high == 0 ? VERDICT_ALL : VERDICT_SOME;
		case FILTER_LT:
			return low >= 0 ? VERDICT_NONE : high < 0 ? VERDICT_ALL : VERDICT_SOME;
		case FILTER_LE:
			return low > 0 ? VERDICT_NONE : high <= 0 ? VERDICT_ALL : VERDICT_SOME;
		case FILTER_GT:
			return high <= 0 ? VERDICT_NONE : low > 0 ? VERDICT_ALL : VERDICT_SOME;
		default:
			return high < 0 ? VERDICT_NONE : low >= 0 ? VERDICT_ALL : VERDICT_SOME;
	}
}

static ColumnVerdict
judge_numbers(const ColumnFilter *filter, double low, double high)
{
	if (filter->kind == COLUMN_IN)
	{
		for (int i = 0; i < filter->nset; i++)
			if (compare_numbers(&filter->numbers[i], &low) >= 0 && compare_numbers(&filter->numbers[i], &high) <= 0)
				return VERDICT_SOME;
		return VERDICT_NONE;
	}
	return judge_order(filter->float_op, compare_numbers(&low, &filter->number),
					   compare_numbers(&high, &filter->number));
}

/*
 * Strings: the chunk's bounds may be prefixes, so that values can be larger than the
 * maximum if they begin with it.  Never VERDICT_ALL.
 */
static bool
string_in_bounds(const ColumnBytes *value, bool prefix, const ColumnBytes *low, const ColumnBytes *high,
				 bool high_cut)
{
	ColumnBytes head = *value;

	if (high_cut)
		head.length = Min(head.length, high->length);
	if (compare_bytes(&head, high) > 0)
		return false;
	if (!prefix)
		return compare_bytes(value, low) >= 0;
	/* the largest string with this prefix: above low unless low is above all of them */
	return memcmp(value->data, low->data, Min(value->length, low->length)) >= 0;
}

static ColumnVerdict
judge_strings(const ColumnFilter *filter, const TableChunkInfo *info)
{
	ColumnBytes low = bytes_operand(ORDER_BYTES, info->minimum);
	ColumnBytes high = bytes_operand(ORDER_BYTES, info->maximum);
	ColumnBytes bytes = filter->bytes;
	bool		cut = info->maximum_cut;

	if (filter->trimmed)
		trim_blanks(&bytes);
	if (filter->kind == COLUMN_IN)
	{
		for (int i = 0; i < filter->nset; i++)
			if (string_in_bounds(&filter->strings[i], false, &low, &high, cut))
				return VERDICT_SOME;
		return VERDICT_NONE;
	}
	if (filter->kind == COLUMN_PREFIX || filter->op == FILTER_EQ)
		return string_in_bounds(&bytes, filter->kind == COLUMN_PREFIX && filter->op != FILTER_EQ,
								&low, &high, cut) ? VERDICT_SOME : VERDICT_NONE;
	if (filter->op == FILTER_LT || filter->op == FILTER_LE)
	{
		int			sign = compare_bytes(&low, &bytes);

		return sign > 0 || (sign == 0 && filter->op == FILTER_LT) ? VERDICT_NONE : VERDICT_SOME;
	}
	if (cut)
	{
		ColumnBytes head = bytes;

		head.length = Min(head.length, high.length);
		return compare_bytes(&head, &high) > 0 ? VERDICT_NONE : VERDICT_SOME;
	}
	else
	{
		int			sign = compare_bytes(&high, &bytes);

		return sign < 0 || (sign == 0 && filter->op == FILTER_GT) ? VERDICT_NONE : VERDICT_SOME;
	}
}

ColumnVerdict
ColumnFilterJudge(const ColumnFilter *filter, const TableChunkInfo *info)
{
	ColumnVerdict verdict = VERDICT_SOME;
	bool		no_nulls = info->nulls == 0;
	bool		only_nulls = info->nulls == info->rows;

	if (filter->kind == COLUMN_NULL)
	{
		if (no_nulls)
			return filter->negated ? VERDICT_ALL : VERDICT_NONE;
		if (only_nulls)
			return filter->negated ? VERDICT_NONE : VERDICT_ALL;
		return VERDICT_SOME;
	}
	if (filter->none)
		return VERDICT_NONE;
	if (filter->all && (no_nulls || filter->nulls_too))
		return VERDICT_ALL;
	if (only_nulls && !filter->nulls_too)
		return VERDICT_NONE;
	if (filter->all)
		return VERDICT_SOME;
	if (!may_contain(filter, info))
		verdict = VERDICT_NONE;
	else if (info->has_range && filter->judged)
	{
		if (is_integer_order(filter->order))
			verdict = judge_integers(filter, integer_fact(filter->order, info->minimum),
									 integer_fact(filter->order, info->maximum));
		else if (filter->order == ORDER_FLOAT4)
			verdict = judge_numbers(filter, DatumGetFloat4(info->minimum), DatumGetFloat4(info->maximum));
		else if (filter->order == ORDER_FLOAT8)
			verdict = judge_numbers(filter, DatumGetFloat8(info->minimum), DatumGetFloat8(info->maximum));
		else if (filter->order == ORDER_BYTES || filter->order == ORDER_PADDED)
			verdict = judge_strings(filter, info);
	}
	/* that a Bloom filter or a prefix shuts out every value holds for the negation as well */
	if (filter->negated && verdict != VERDICT_SOME)
		verdict = verdict == VERDICT_NONE ? VERDICT_ALL : VERDICT_NONE;
	return verdict == VERDICT_ALL && !no_nulls ? VERDICT_SOME : verdict;
}
