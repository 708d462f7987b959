/*
 * filter_rewrite.c
 *		The checked tree into the form that SQL is written from.
 *
 * "not" is moved to the conditions it applies to (De Morgan's laws hold with UNKNOWN too), so that every
 * condition stands where only its being TRUE counts: what is FALSE and what is UNKNOWN need not be told
 * apart in SQL.  Ranges become two comparisons, "or" of equals becomes IN, IN is sorted and without
 * duplicates, constants disappear.
 */
#include "collection/filter/filter_internal.h"

static FilterCond *normalize(FilterContext *context, FilterCond *cond, bool negate);

FilterOp
FilterNegateOp(FilterOp op)
{
	switch (op)
	{
		case FILTER_EQ:
			return FILTER_NE;
		case FILTER_NE:
			return FILTER_EQ;
		case FILTER_LT:
			return FILTER_GE;
		case FILTER_LE:
			return FILTER_GT;
		case FILTER_GT:
			return FILTER_LE;
		default:
			return FILTER_LT;
	}
}

static FilterCond *
constant(bool value)
{
	FilterCond *cond = palloc0(sizeof(FilterCond));

	cond->kind = COND_CONST;
	cond->integer = value;
	return cond;
}

static bool
same_column(const FilterColumn *a, const FilterColumn *b)
{
	if (a->field != b->field || a->parent != b->parent || a->is_element != b->is_element || a->index != b->index ||
		a->npath != b->npath)
		return false;
	for (int i = 0; i < a->npath; i++)
	{
		if (strcmp(a->path[i], b->path[i]) != 0)
			return false;
	}
	return true;
}

/* ---- lists of values ---- */

static int
compare_values(const void *a, const void *b)
{
	return FilterCompareValues(a, b);
}

/* Sort a list of values, drop its duplicates. */
static void
sort_values(FilterValue *list)
{
	int			kept = 0;

	if (list->count < 2)
		return;
	qsort(list->items, list->count, sizeof(FilterValue), compare_values);
	for (int i = 1; i < list->count; i++)
	{
		if (!FilterSameValue(&list->items[kept], &list->items[i]))
			list->items[++kept] = list->items[i];
	}
	list->count = kept + 1;
}

/*
 * Is this a test for values of one column that can be joined with others: == or in under "or" (then !negated),
 * != or not in under "and"?  Values of templates stay, so that the text of the SQL stays the same.
 */
static bool
can_join(const FilterCond *cond, bool negated)
{
	FilterType	type;

	if (cond->kind == COND_COMPARE)
	{
		if (cond->op != (negated ? FILTER_NE : FILTER_EQ) || cond->value.kind == FILTER_VALUE_ARRAY)
			return false;
	}
	else if (cond->kind != COND_IN || cond->negated != negated || cond->value.count == 0)
		return false;
	if (cond->value.is_template)
		return false;
	type = FilterColumnType(&cond->column);
	/* whether a key's value is unknown depends on the type that it is compared with */
	return type != FILTER_ARRAY && type != FILTER_TIMESTAMPTZ && !(negated && type == FILTER_JSON);
}

/* Join the tests for values of each column among the operands. */
static void
join_values(FilterCond *cond)
{
	bool		negated = cond->kind == COND_AND;
	int			kept = 0;
	/* long chains name few columns: looking back at the last ones is enough */
	int			heads[16];
	int			nheads = 0;

	for (int i = 0; i < cond->nitems; i++)
	{
		FilterCond *item = cond->items[i];
		FilterCond *joined = NULL;

		if (can_join(item, negated))
		{
			for (int j = 0; j < nheads && joined == NULL; j++)
			{
				if (same_column(&cond->items[heads[j]]->column, &item->column))
					joined = cond->items[heads[j]];
			}
			if (joined == NULL && nheads < (int) lengthof(heads))
				heads[nheads++] = kept;
		}
		if (joined == NULL)
		{
			cond->items[kept++] = item;
			continue;
		}
		if (joined->kind == COND_COMPARE)
		{
			FilterValue list = {FILTER_VALUE_ARRAY};

			/* room for all that may come: the integer counts it */
			joined->integer = 16;
			list.items = palloc(joined->integer * sizeof(FilterValue));
			list.items[0] = joined->value;
			list.count = 1;
			joined->kind = COND_IN;
			joined->negated = negated;
			joined->value = list;
		}
		else if (joined->integer == 0)
		{
			FilterValue *items = palloc((joined->value.count + 16) * sizeof(FilterValue));

			joined->integer = joined->value.count + 16;
			memcpy(items, joined->value.items, joined->value.count * sizeof(FilterValue));
			joined->value.items = items;
		}
		if (item->kind == COND_COMPARE)
		{
			if (joined->value.count + 1 > joined->integer)
			{
				joined->integer *= 2;
				joined->value.items = repalloc(joined->value.items, joined->integer * sizeof(FilterValue));
			}
			joined->value.items[joined->value.count++] = item->value;
		}
		else
		{
			if (joined->value.count + item->value.count > joined->integer)
			{
				joined->integer = 2 * joined->integer + item->value.count;
				joined->value.items = repalloc(joined->value.items, joined->integer * sizeof(FilterValue));
			}
			memcpy(joined->value.items + joined->value.count, item->value.items, item->value.count * sizeof(FilterValue));
			joined->value.count += item->value.count;
		}
	}
	cond->nitems = kept;
	for (int i = 0; i < kept; i++)
	{
		if (cond->items[i]->kind == COND_IN)
			sort_values(&cond->items[i]->value);
	}
}

/* ---- the tree ---- */

/* An "and" or "or" of normalized operands: without constants, of one operand only that. */
static FilterCond *
normalize_logical(FilterContext *context, FilterCond *cond, bool negate)
{
	bool		is_and = (cond->kind == COND_AND) != negate;
	FilterCond *result = palloc0(sizeof(FilterCond));

	result->kind = is_and ? COND_AND : COND_OR;
	result->items = palloc(cond->nitems * sizeof(FilterCond *));
	for (int i = 0; i < cond->nitems; i++)
	{
		FilterCond *item = normalize(context, cond->items[i], negate);

		if (item->kind == COND_CONST)
		{
			if ((item->integer != 0) == is_and)
				continue;
			return item;
		}
		result->items[result->nitems++] = item;
	}
	if (result->nitems == 0)
		return constant(is_and);
	join_values(result);
	return result->nitems == 1 ? result->items[0] : result;
}

/* lower <= column <= upper as two comparisons */
static FilterCond *
split_range(FilterCond *cond)
{
	FilterCond *result = palloc0(sizeof(FilterCond));

	result->kind = COND_AND;
	result->nitems = 2;
	result->items = palloc(2 * sizeof(FilterCond *));
	for (int i = 0; i < 2; i++)
	{
		FilterCond *half = palloc0(sizeof(FilterCond));

		half->kind = COND_COMPARE;
		half->column = cond->column;
		half->value = i == 0 ? cond->value : cond->value2;
		half->op = i == 0 ? (cond->op == FILTER_LT ? FILTER_GT : FILTER_GE) : (FilterOp) cond->op2;
		result->items[i] = half;
	}
	return result;
}

static FilterCond *
normalize(FilterContext *context, FilterCond *cond, bool negate)
{
	switch (cond->kind)
	{
		case COND_CONST:
			return constant((cond->integer != 0) != negate);
		case COND_NOT:
			return normalize(context, cond->items[0], !negate);
		case COND_AND:
		case COND_OR:
			return normalize_logical(context, cond, negate);
		case COND_RANGE:
			return normalize_logical(context, split_range(cond), negate);
		case COND_COMPARE:
		case COND_ARITHMETIC:
		case COND_LENGTH:
		case COND_COLUMNS:
		case COND_TIME:
			if (negate)
				cond->op = FilterNegateOp(cond->op);
			return cond;
		case COND_IN:
			sort_values(&cond->value);
			break;
		case COND_ELEMENTS:
			/* the elements for which the condition is TRUE are counted, whichever way the count is compared */
			cond->items[0] = normalize(context, cond->items[0], false);
			break;
		default:
			break;
	}
	cond->negated = cond->negated != negate;
	return cond;
}

FilterCond *
FilterNormalize(FilterContext *context, FilterCond *cond)
{
	return normalize(context, cond, false);
}
