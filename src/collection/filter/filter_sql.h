/*
 * filter_sql.h
 *		What the files that write SQL call of each other.
 */
#ifndef MILVUS_FILTER_SQL_H
#define MILVUS_FILTER_SQL_H

#include "collection/filter/filter_internal.h"

/* A type of PostgreSQL that constants are written as. */
typedef struct FilterSqlType
{
	const char *name;
	Oid			oid;
	Oid			array_oid;
} FilterSqlType;

extern const FilterSqlType filter_bool;
extern const FilterSqlType filter_int2;
extern const FilterSqlType filter_int4;
extern const FilterSqlType filter_int8;
extern const FilterSqlType filter_float4;
extern const FilterSqlType filter_float8;
extern const FilterSqlType filter_numeric;
extern const FilterSqlType filter_text;
extern const FilterSqlType filter_jsonb;

/* filter_write.c */
extern void FilterWriteIdentifier(StringInfo sql, const char *name);
extern void FilterWriteLiteral(StringInfo sql, const char *text);
extern void FilterWriteOperator(StringInfo sql, const char *name);
extern const char *FilterComparisonName(FilterOp op);
extern void FilterWriteConstant(FilterContext *context, StringInfo sql, const FilterSqlType *type, const FilterValue *value);
extern void FilterWriteArray(FilterContext *context, StringInfo sql, const FilterSqlType *type, const FilterValue *list);
extern const FilterSqlType *FilterScalarType(FilterType type);
extern bool FilterFits(const FilterSqlType *type, const FilterValue *value);
extern const FilterSqlType *FilterComparisonType(FilterType type, const FilterValue *value);
extern void FilterWriteBase(FilterContext *context, StringInfo sql, const FilterColumn *column);
extern void FilterWritePath(FilterContext *context, StringInfo sql, const FilterColumn *column, bool as_text);
extern void FilterWriteJsonType(FilterContext *context, StringInfo sql, const FilterColumn *column, const char *type);
extern const char *FilterJsonType(const FilterValue *value);
extern bool FilterHasContainment(const FilterColumn *column);
extern void FilterWriteContainment(FilterContext *context, StringInfo sql, const FilterColumn *column, const FilterValue *value);
extern void FilterWriteCertain(FilterContext *context, StringInfo sql, const FilterColumn *column, bool result);
extern int FilterFieldNumber(const FilterField *parent, const FilterField *field);

/* filter_sql.c */
extern void FilterWriteComparison(FilterContext *context, StringInfo sql, const FilterColumn *column, FilterOp op, const FilterValue *value);
extern void FilterWriteJsonComparison(FilterContext *context, StringInfo sql, const FilterColumn *column, FilterOp op, const FilterValue *value);

/* filter_arithmetic.c */
extern void FilterWriteArithmetic(FilterContext *context, StringInfo sql, FilterCond *cond);
extern const char *FilterArithmeticName(FilterOp op);

#endif							/* MILVUS_FILTER_SQL_H */
