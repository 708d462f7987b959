/*
 * columnscan_internal.h
 *		Column filters, between the files of this folder.
 */
#ifndef MILVUS_COLUMNSCAN_INTERNAL_H
#define MILVUS_COLUMNSCAN_INTERNAL_H

#include "kernels/filter.h"
#include "nodes/extensible.h"
#include "planner/columnscan.h"

/* How the values of a column compare; decides what is in a filter's bound part. */
typedef enum ColumnOrder
{
	ORDER_NONE,					/* of no use for filters */
	ORDER_UINT8,
	ORDER_INT16,
	ORDER_INT32,
	ORDER_INT64,
	ORDER_UINT32,
	ORDER_FLOAT4,
	ORDER_FLOAT8,
	ORDER_BYTES,				/* varlena, bytewise */
	ORDER_PADDED,				/* varlena, bytewise without blanks at the end */
	ORDER_FIXED					/* by reference, 16 bytes, bytewise */
} ColumnOrder;

#define ORDER_FIXED_BYTES 16

typedef enum ColumnFilterKind
{
	COLUMN_AND,
	COLUMN_OR,
	COLUMN_COMPARE,				/* column op operand */
	COLUMN_IN,					/* column = ANY (operand) */
	COLUMN_PREFIX,				/* column begins with operand */
	COLUMN_NULL					/* column IS NULL */
} ColumnFilterKind;

/* Bytes to compare with. */
typedef struct ColumnBytes
{
	const uint8 *data;
	uint32		length;
} ColumnBytes;

/*
 * A condition, in the sense "is true": rows for which it is false or null are out.  A
 * negated leaf is true where the plain one would be false.
 */
typedef struct ColumnFilter
{
	ColumnFilterKind kind;
	bool		negated;		/* leaves */
	AttrNumber	attnum;			/* leaves */
	ColumnOrder order;
	FilterOp	op;				/* COMPARE: EQ, LT, LE, GT, GE */
	Oid			column_type;	/* the type that the operator sees */
	Oid			operand_type;	/* of IN: of the elements */
	Expr	   *operand;
	ExprState  *state;			/* NULL: a Const, or not begun */
	List	   *children;		/* AND, OR: ColumnFilter */
	Oid			stored_type;	/* the column's */
	Oid			stored_collation;
	bool		trimmed;		/* bounds of its chunks are without blanks at the end */
	bool		judged;			/* facts of chunks are of use */

	/* ---- bound: from the operand's value ---- */
	bool		none;			/* true for no row */
	bool		all;			/* true for every row that is not null */
	bool		nulls_too;		/* with all: for null rows too */
	int64		low;			/* integers: low <= value <= high */
	int64		high;
	FilterOp	float_op;		/* floats */
	double		number;
	ColumnBytes bytes;
	int			nset;			/* IN: sorted, without duplicates */
	int64	   *integers;
	double	   *numbers;
	ColumnBytes *strings;
	uint64	   *hashes;			/* Bloom hashes of the values; NULL: not known */
	void	   *narrow;			/* IN of integers: the values in the column's width */
} ColumnFilter;

typedef enum ColumnVerdict
{
	VERDICT_NONE,				/* true for no row */
	VERDICT_SOME,
	VERDICT_ALL					/* true for every row */
} ColumnVerdict;

/* columnqual.c: the filter that a clause is, or NULL */
extern ColumnFilter *ColumnFilterBuild(Node *clause, Index varno);
/* ... of an implicitly ANDed list of them; NULL of an empty list */
extern ColumnFilter *ColumnFilterBuildList(List *clauses, Index varno);
extern ColumnOrder ColumnOrderOfType(Oid type);

/* columnfilter.c */
/* Make the expression states of operands that are not constants; what is cheap goes first. */
extern void ColumnFilterInit(ColumnFilter *filter, PlanState *ps, TupleDesc desc);
/* Evaluate operands; what this allocates is in the current memory context. */
extern void ColumnFilterBind(ColumnFilter *filter, ExprContext *econtext);
/* Which of rows from .. from + n - 1 of a view pass (a leaf); rows not in `in` may come out either way. */
extern void ColumnFilterLeaf(const ColumnFilter *filter, const ColumnView *view, uint32 from, uint32 n,
							 const uint64 *in, uint64 *out);
/* What the facts of a chunk say of a leaf. */
extern ColumnVerdict ColumnFilterJudge(const ColumnFilter *filter, const TableChunkInfo *info);

/* ---- columnplan.c ---- */

/*
 * Costs, in units of the server's own.  A row emitted from columns costs no visibility
 * test and no deforming; a filter works on many values at a time; columns are read from
 * mapped memory, most often from the operating system's cache.
 */
#define COLUMN_STARTUP_COST 4000	/* cpu_operator_costs of map, manifest, opening segments */
#define COLUMN_ROW_COST 0.4		/* cpu_tuple_costs a row emitted */
#define COLUMN_FILTER_COST 0.02 /* cpu_operator_costs a value compared */
#define COLUMN_PAGE_COST 0.1	/* seq_page_costs a page of values */

/* What of a table is read how, as far as the planner knows. */
typedef struct ColumnTableShape
{
	double		pages;			/* of the heap */
	double		mixed_pages;	/* of them, to be read tuple by tuple */
	double		column_rows;
	double		tuple_rows;
} ColumnTableShape;

extern void ColumnGetShape(RelOptInfo *rel, Oid relid, ColumnTableShape *shape);

/* A path over the whole table, neither parallel nor parameterized. */
extern CustomPath *ColumnMakePath(PlannerInfo *root, RelOptInfo *rel, Oid relid, const ColumnTableShape *shape);

/* columnscan.c */
extern const CustomScanMethods column_scan_methods;
/* The source of a MilvusColumns node that another node drives. */
extern ColumnSource *ColumnScanSource(PlanState *node);

/* columnaggregate.c */
extern void ColumnAggregateInstall(void);

#endif							/* MILVUS_COLUMNSCAN_INTERNAL_H */
