/*
 * rows.h
 *		Values for the columns of a collection, made from JSON and from arrays, and checked
 *		as Milvus checks them.
 */
#ifndef MILVUS_COLLECTION_ROWS_H
#define MILVUS_COLLECTION_ROWS_H

#include "collection/collection.h"
#include "fmgr.h"
#include "utils/array.h"

/* How values of a field are made.  Belongs to the memory context it was made in. */
typedef struct FieldReader
{
	const Collection *collection;
	const CollectionField *field;
	/* the type's elements: of arrays and embedding lists, else of the column itself */
	Oid			elemtype;
	int16		elemlen;
	bool		elembyval;
	char		elemalign;
	/* the type's input function: for text that is a value */
	FmgrInfo	input;
	Oid			ioparam;
	MemoryContext scratch;		/* of one value; NULL: not made yet */
} FieldReader;

extern FieldReader *FieldReaderMake(const Collection *collection, const CollectionField *field);

/*
 * A value from JSON that is not null.  row: its number in the request, for messages.
 * ERROR in Milvus's words when it does not fit the field.
 */
extern Datum FieldFromJson(FieldReader *reader, const JsonbValue *value, int64 row);
/* The same of a value from text, as the type's input function reads it. */
extern Datum FieldFromText(FieldReader *reader, char *text, int64 row);
/* In PG_CATCH: what an input function says of a text, in an error that has Milvus's code.  row < 0: it is none of a row's. */
extern void FieldTextError(const CollectionField *field, MemoryContext context, int64 row);
/* A dense vector of numbers, field->dim of them. */
extern Datum FieldDense(const CollectionField *field, MilvusType type, const float *x, int64 row);
/* A sparse vector with the dimension that all of the field have. */
extern Datum FieldSparse(FieldReader *reader, Datum value, int64 row);
/* An element of an array or an embedding list. */
extern Datum FieldElementFromJson(FieldReader *reader, const JsonbValue *value, int64 row);
/* An array of such elements; its length is checked. */
extern Datum FieldArray(FieldReader *reader, Datum *values, int n, int64 row);
/* A value of the column's type is checked: length, range, dimension, capacity. */
extern void FieldCheck(FieldReader *reader, Datum value, int64 row);
/* ERROR: the value is of a wrong type; `got` says of which. */
extern void FieldWrongType(const CollectionField *field, const char *got, int64 row) __attribute__((noreturn));
/* "string", "number", "boolean", "array", "object", "null" */
extern const char *JsonTypeName(const JsonbValue *value);

/* The primary key; ERROR where there is none. */
extern CollectionField *CollectionPrimary(const Collection *collection);
/* Keys from JSON, one or an array of them, as an array of the key's type. */
extern ArrayType *CollectionKeys(const Collection *collection, Jsonb *ids);
#endif							/* MILVUS_COLLECTION_ROWS_H */
